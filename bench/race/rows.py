"""Rows: what was measured, and the statistics that are taken of it."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One peer in one round of one part. `setting` is what the part varies: a number of rules, a way of bodies."""

    part: str
    peer: str
    setting: str
    round: int
    values: dict[str, float]


@dataclass(frozen=True)
class Spread:
    """Median, least and most."""

    median: float
    low: float
    high: float

    def said(self, digits: int = 1) -> str:
        """`median (least-most)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Of one value at least."""
    return Spread(statistics.median(values), min(values), max(values))


class Rows:
    """All rows, to be asked."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.all = tuple(rows)

    def part(self, name: str) -> "Rows":
        """Those of a part."""
        return Rows(row for row in self.all if row.part == name)

    def at(self, setting: str) -> "Rows":
        """Those of a setting."""
        return Rows(row for row in self.all if row.setting == setting)

    def of(self, peer: str) -> "Rows":
        """Those of a peer."""
        return Rows(row for row in self.all if row.peer == peer)

    def peers(self) -> list[str]:
        """Who is in it, in the order of first appearance."""
        return list(dict.fromkeys(row.peer for row in self.all))

    def settings(self) -> list[str]:
        """What was varied, in the order of first appearance."""
        return list(dict.fromkeys(row.setting for row in self.all))

    def spread(self, key: str) -> Spread | None:
        """Of a value; nothing where it was not measured."""
        values = [row.values[key] for row in self.all if key in row.values]
        return spread(values) if values else None

    def __bool__(self) -> bool:
        return bool(self.all)


def paired(of: Rows, to: Rows, key: str) -> Spread | None:
    """The ratio of a value, round by round, so that a machine whose speed drifts does not count."""
    base = {row.round: row.values[key] for row in to.all if key in row.values}
    ratios = [row.values[key] / base[row.round] for row in of.all if key in row.values and base.get(row.round)]
    return spread(ratios) if ratios else None
