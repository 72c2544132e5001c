"""PROOF.md: what was seen of each claim, when, at which commit, by which command. Kept as data in proof.json."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import machine

ROOT = Path(__file__).parents[2]
DATA = ROOT / "bench" / "proof.json"
PAGE = ROOT / "bench" / "PROOF.md"


@dataclass(frozen=True, slots=True)
class Result:
    """One claim, tried once. `commit` ends in + where the tree had changes that no commit holds."""

    name: str
    claim: str
    holds: bool
    seen: str
    date: str
    commit: str
    machine: str

    @property
    def row(self) -> str:
        """A line of the page."""
        cells = (
            self.claim,
            "yes" if self.holds else "**no**",
            self.seen,
            f"`{self.name}`",
            f"{self.date}, {self.commit}",
        )
        return f"| {' | '.join(cells)} |"


def result(name: str, claim: str, seen: str, *, holds: bool) -> Result:
    """What was seen just now, on this machine and tree."""
    return Result(name, claim, holds, seen, str(datetime.now(UTC).date()), commit(), machine())


def commit() -> str:
    """The commit that is checked out, shortened."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "no commit"


def read() -> list[Result]:
    """The results so far."""
    return [Result(**one) for one in json.loads(DATA.read_text())]


def write(new: Iterable[Result], order: Iterable[str]) -> None:
    """Put new results in the place of older ones of the same claim, and write the page."""
    found = {one.name: one for one in (*read(), *new)}
    results = [found[name] for name in (*(one for one in order if one in found), *found.keys() - set(order))]
    DATA.write_text(json.dumps([asdict(one) for one in results], indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(results))


def page(results: list[Result]) -> str:
    """The page of these results."""
    rows = "\n".join(one.row for one in results)
    machines = "; ".join(dict.fromkeys(one.machine for one in results))
    return f"""# Claims, shown

Each row by `make prove-GROUP`, or alone by `make prove PROVE="--only NAME"`, on: {machines}.

| claim | holds | seen | name | date, commit |
|---|---|---|---|---|
{rows}

How each is shown: [bench/prove/](prove/). CI runs a scaled-down row of each group (`make prove-small`).
"""
