"""Simulate the judge (`make bench-judge`): writes JUDGE.md, its pictures and their data."""

import argparse
import json
import multiprocessing
import os
import time
from collections import defaultdict
from pathlib import Path

from bench.judge import page, pictures
from bench.judge.parts import WEIGHTS, Row, Stocks, Task, tasks
from bench.judge.splitter import Stock, drawn

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SEED = 20_261_125

stocks: Stocks = {}
"""Filled before the processes fork, so that they share it."""


def work(numbered: tuple[int, Task]) -> tuple[int, str, Row]:
    """Run one task."""
    number, task = numbered
    return number, task.part, task.work(stocks, SEED + number)


def main() -> None:
    """Run the requested parts, keep the results of all others, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="parts to simulate again; all without it")
    parser.add_argument("--page", action="store_true", help="only write the page from the numbers that are there")
    arguments = parser.parse_args()
    results: dict[str, list[Row]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.page:
        results |= simulate(arguments.only)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    pictures.draw(results, HERE / "pictures", HERE.parents[1] / "docs" / "pictures")
    (HERE.parent / "JUDGE.md").write_text(page.written(results))


def simulate(only: list[str]) -> dict[str, list[Row]]:
    """All rows of these parts, or of all parts."""
    global stocks  # noqa: PLW0603  # filled once, before the fork
    draws = drawn(SEED)
    stocks = {weight: Stock(draws, weight) for weight in WEIGHTS}
    wanted = [(number, task) for number, task in enumerate(tasks()) if not only or task.part in only]
    found: dict[str, dict[int, Row]] = defaultdict(dict)
    begin = time.monotonic()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for number, part, row in pool.imap_unordered(work, wanted):
            found[part][number] = row
            print(f"{time.monotonic() - begin:6.0f} s  {part}: {row}", flush=True)
    return {part: [rows[number] for number in sorted(rows)] for part, rows in found.items()}


if __name__ == "__main__":
    main()
