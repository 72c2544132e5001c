"""Compares the coverage of each package with its floor.

    python tools/coverage_floors.py [--data .coverage]

Reads what the last whole `make test` has measured (lines and branches, both runs together); nothing is run again. The
floors are in pyproject.toml, `[tool.canaryproxy.coverage-floors]`, in percent: a package is a folder of canaryproxy/,
with its subpackages unless they have a floor of their own; `canaryproxy` are the modules beside them. A package without
a floor must be covered whole.
"""

import argparse
import json
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import coverage

ROOT = Path(__file__).parents[1]
PACKAGE = "canaryproxy"


class Row(NamedTuple):
    """A package: what of it was run, in percent, and its floor."""

    package: str
    percent: float
    floor: float


def floors(root: Path = ROOT) -> dict[str, float]:
    """Dotted package (without `canaryproxy.`) to floor."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    configured: dict[str, float] = project["tool"][PACKAGE]["coverage-floors"]
    return configured


def package_of(module: PurePath, known: Mapping[str, float]) -> str:
    """The package whose floor applies to a module, given by its path below `canaryproxy/`."""
    parts = module.parent.parts
    for count in range(len(parts), 0, -1):
        if (name := ".".join(parts[:count])) in known:
            return name
    return parts[0] if parts else PACKAGE


def rows(files: Mapping[str, Mapping[str, Any]], known: Mapping[str, float]) -> list[Row]:
    """What a JSON report of coverage says of each package. One without a floor must be covered whole."""
    done: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for path, report in files.items():
        parts = PurePath(path).parts
        package = package_of(PurePath(*parts[parts.index(PACKAGE) + 1 :]), known)
        summary = report["summary"]
        done[package] += summary["covered_lines"] + summary.get("covered_branches", 0)
        of[package] += summary["num_statements"] + summary.get("num_branches", 0)
    return [Row(one, 100 * done[one] / of[one] if of[one] else 100.0, known.get(one, 100.0)) for one in sorted(of)]


def measured(data: Path) -> dict[str, Any]:
    """The files of a JSON report on measured data. Raises `coverage.CoverageException` where there is none."""
    found = coverage.Coverage(data_file=data)
    found.load()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        found.json_report(outfile=report.name)
        files: dict[str, Any] = json.load(report)["files"]
    return files


def main() -> int:
    """The command: 0 if every package reaches its floor, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / ".coverage", help="what a whole `make test` has measured")
    given = parser.parse_args()
    try:
        found = rows(measured(given.data), floors())
    except coverage.CoverageException as error:
        print(f"{given.data}: {error}; run make test", file=sys.stderr)
        return 1
    print(f"{'package':16} {'covered':>9} {'floor':>9}")
    for row in found:
        below = "" if row.percent >= row.floor else "  below its floor"
        print(f"{row.package:16} {row.percent:8.1f}% {row.floor:8.1f}%{below}")
    return int(any(row.percent < row.floor for row in found))


if __name__ == "__main__":
    sys.exit(main())
