"""Rules: ordered exceptions inside a route, as plain data."""

from dataclasses import dataclass
from typing import Literal

Subject = Literal["method", "path", "header", "cookie", "query", "source"]

Kind = Literal["exact", "prefix", "regex", "present", "in", "item"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold of a request.

    `name` is that of a header (lower case), cookie or query parameter, empty for the other subjects. `values`
    has one text for `exact`, `prefix` and `regex` (RE2 syntax, matched in full), `true` or `false` for
    `present`, and any number for `in` and for `item`, which asks whether one of them is an item of a comma-separated
    list; those of a source are networks, of a path spelled as paths are matched.
    """

    subject: Subject
    kind: Kind
    values: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """An exception: requests of which all `conditions` hold go `to` a version, `percent` of them.

    `percent` is in basis points; those outside it get the other version. `preview` reaches the canary even
    when it is aborted. `analyse` lets these requests count for the analysis.
    """

    name: str
    conditions: tuple[Condition, ...]
    to: Literal["stable", "canary"]
    percent: int = 10_000
    preview: bool = False
    analyse: bool = False

    @property
    def reaches_canary(self) -> bool:
        """Whether any request that it decides goes to the canary."""
        return self.to == "canary" or self.percent < 10_000
