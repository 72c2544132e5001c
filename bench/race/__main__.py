"""`make bench` and `make bench-full`: install what is missing, race, write the page, its figures and pictures."""

import argparse
import contextlib
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import canaryproxy
from bench.machine import machine
from bench.race import debian, page, pictures, results
from bench.race.parts import PARTS, QUICK, Plan, Race
from bench.race.peers import PEERS
from bench.race.results import Results, Run
from bench.race.rows import Row, Rows
from bench.race.track import track

BENCH = Path(__file__).parents[1]
KINDS = {"cpu": "CPU", "rate": "/s", "p99": "p99 µs", "kib": "KiB", "mib": "MiB"}


def said(row: Row) -> str:
    """A row on the screen."""
    values = "   ".join(f"{row.values[key]:10,.1f} {name}" for key, name in KINDS.items() if key in row.values)
    return f"{row.part:11} {row.round:2} {row.peer:26} {row.setting:8} {values}"


def race(plan: Plan, parts: Sequence[str], run: Run) -> Results:
    """All runners up, part after part."""
    found = Results()
    with track() as ground, contextlib.ExitStack() as stack:
        runners = [ground.enter(stack, peer) for peer in plan.peers]
        for part in parts:
            began = time.monotonic()
            rows: list[Row] = []
            for row in PARTS[part](Race(ground, plan, runners, Rows(found.rows))):
                rows.append(row)
                print(said(row), flush=True)
            found.put(part, run, rows)
            print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    return found


def main() -> None:
    """Parse the command line, race, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.race", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="every part, up to an hour; otherwise the quick ones")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="these parts")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], help="these proxies")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="length of each measurement")
    parser.add_argument("--seed", type=int, default=1, help="of the order in each round")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--redraw", action="store_true", help="write the page and the pictures again from results.json")
    arguments = parser.parse_args()
    if arguments.redraw:
        write(results.read())
        return
    if not canaryproxy.MODE.compiled:
        sys.exit(f"only compiled code is measured ({canaryproxy.MODE}): make compile")
    if (os.cpu_count() or 1) < 2:
        sys.exit("a race needs two cores: one for the proxies, one for the load")
    debian.install()
    wanted = arguments.parts or (list(PARTS) if arguments.full else QUICK)
    parts = [part for part in PARTS if part in wanted or (part == "requests" and "latency" in wanted)]
    peers = [peer for peer in PEERS if not arguments.only or peer.name in arguments.only]
    plan = Plan(peers, arguments.rounds, int(arguments.seconds * 1000), random.Random(arguments.seed))
    command = " ".join(["python -m bench.race", *sys.argv[1:]])
    run = Run(
        command, f"{datetime.now(UTC).date()}", machine(), canaryproxy.__version__, plan.rounds, arguments.seconds
    )
    found = race(plan, parts, run)
    if arguments.no_write:
        print(page.verdict(found))
        return
    kept = results.read()
    for part in parts:
        kept.put(part, run, found.part(part).all)
    kept.write()
    write(kept)


def write(found: Results) -> None:
    """The page and its pictures."""
    pictures.draw(found, BENCH / "pictures")
    text = page.page(found)
    (BENCH / "RESULTS.md").write_text(text)
    print(page.verdict(found))


if __name__ == "__main__":
    main()
