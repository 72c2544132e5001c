"""Keeps the version, CHANGELOG.md and the tag in agreement, and dates the section of a release.

    python3 tools/release.py check                   # in CI: say what contradicts; nothing is written
    python3 tools/release.py cut 0.2.0 [2026-11-28]  # write the version and the dated section; nothing is committed

The version stands in one place, `__version__` in canaryproxy/__init__.py. docs/releasing.md has the whole procedure.
"""

import argparse
import datetime as dt
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = Path("canaryproxy/__init__.py")
CHANGELOG = Path("CHANGELOG.md")

UNRELEASED = "## [Unreleased]"
SECTION = re.compile(r"^## \[([^]]*)\](.*)$", re.MULTILINE)
DATED = re.compile(r" - (\d{4}-\d{2}-\d{2})")
NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
ASSIGNED = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)


class ReleaseError(Exception):
    """A release that cannot be cut, with the reason."""


class Section(NamedTuple):
    """A released section of the changelog, in the order of the file. `dated` is what follows its version."""

    version: str
    dated: str
    notes: str


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, to be compared. Raises `ReleaseError` unless it is `MAJOR.MINOR.PATCH`."""
    found = NUMBERS.fullmatch(version)
    if found is None:
        raise ReleaseError(f"{version!r} is not MAJOR.MINOR.PATCH")
    return tuple(map(int, found.groups()))


def version_in(source: str) -> str:
    """The version that the package's source assigns. Raises `ReleaseError` unless it is assigned once."""
    found = ASSIGNED.findall(source)
    if len(found) != 1:
        raise ReleaseError(f"{PACKAGE} assigns __version__ {len(found)} times, not once")
    return str(found[0])


def sections(changelog: str) -> tuple[str, list[Section]]:
    """The notes of what is not released yet, and the released sections, newest first.

    Raises `ReleaseError` unless the first section is that of what is not released yet.
    """
    heads = list(SECTION.finditer(changelog))
    ends = [*(head.start() for head in heads[1:]), len(changelog)][: len(heads)]
    found = [
        Section(head[1], head[2], changelog[head.end() : end].strip()) for head, end in zip(heads, ends, strict=True)
    ]
    if not found or found[0][:2] != ("Unreleased", ""):
        raise ReleaseError(f"{CHANGELOG} does not begin with the section {UNRELEASED!r}")
    return found[0].notes, found[1:]


def _date(section: Section) -> dt.date:
    """When a section was released. Raises `ReleaseError` where its heading does not say so."""
    found = DATED.fullmatch(section.dated)
    if found is None:
        raise ReleaseError(f"{CHANGELOG}: [{section.version}] has no date; write '## [{section.version}] - YYYY-MM-DD'")
    try:
        return dt.date.fromisoformat(found[1])
    except ValueError:
        raise ReleaseError(f"{CHANGELOG}: [{section.version}] has an impossible date, {found[1]}") from None


def contradictions(source: str, changelog: str, tags: list[str]) -> list[str]:
    """What does not agree; `tags` are those of the commit. Raises `ReleaseError` where something cannot be read."""
    version = version_in(source)
    notes, released = sections(changelog)
    found = []
    order = [(numbers(one.version), _date(one)) for one in released]
    for newer, older, one in zip(order, order[1:], released, strict=False):
        if newer[0] <= older[0] or newer[1] < older[1]:
            found.append(f"{CHANGELOG}: [{one.version}] does not follow the section below it in version and date")
    found += [f"{CHANGELOG}: [{one.version}] is empty" for one in released if not one.notes]
    if released and released[0].version != version:
        found.append(f"{PACKAGE} is {version}, the newest section of {CHANGELOG} is [{released[0].version}]")
    for tag in tags:
        if not tag.startswith("v"):
            continue
        if tag != f"v{version}":
            found.append(f"the tag is {tag}, the version is {version}")
        if version not in [one.version for one in released]:
            found.append(f"the tag is {tag}, but {CHANGELOG} has no section [{version}]")
        if notes:
            found.append(f"the tag is {tag}, but {CHANGELOG} has notes that are not released")
    return found


def cut(source: str, changelog: str, version: str, date: dt.date) -> tuple[str, str]:
    """Source and changelog of a release: its number, and what was not released yet as its dated section.

    Raises `ReleaseError` where there is nothing to release, or where it would not follow the release before.
    """
    notes, released = sections(changelog)
    if not notes:
        raise ReleaseError(f"{CHANGELOG} has no notes under {UNRELEASED!r}: there is nothing to release")
    before = [one.version for one in released] or [version_in(source)]
    if numbers(version) <= numbers(before[0]):
        raise ReleaseError(f"{version} does not follow {before[0]}")
    if released and date < _date(released[0]):
        raise ReleaseError(f"{date} is before the release of {before[0]}")
    dated = changelog.replace(f"{UNRELEASED}\n", f"{UNRELEASED}\n\n## [{version}] - {date}\n", 1)
    return ASSIGNED.sub(f'__version__ = "{version}"', source), dated


def tags_here(root: Path) -> list[str]:
    """The tags of the commit that is checked out; none where this is no checkout."""
    if not (root / ".git").exists():
        return []
    done = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.split()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command: 0 if everything agrees or was written, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="say what contradicts")
    cutting = commands.add_parser("cut", help="write the version and the dated section")
    cutting.add_argument("version")
    today = dt.datetime.now(tz=dt.UTC).date()
    cutting.add_argument("date", nargs="?", type=dt.date.fromisoformat, default=today)
    given = parser.parse_args(arguments)
    package, changelog = root / PACKAGE, root / CHANGELOG
    try:
        if given.command == "check":
            found = contradictions(package.read_text(), changelog.read_text(), tags_here(root))
        else:
            found = []
            source, notes = cut(package.read_text(), changelog.read_text(), given.version, given.date)
            package.write_text(source)
            changelog.write_text(notes)
    except ReleaseError as error:
        found = [str(error)]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
