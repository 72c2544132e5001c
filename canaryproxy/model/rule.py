"""Rules: ordered exceptions to the weight of a route, as plain data."""

from dataclasses import dataclass
from typing import Literal

Subject = Literal["method", "path", "header", "cookie", "query", "source"]

Kind = Literal["exact", "prefix", "regex", "present", "in", "item"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a request.

    `name` is that of a header (lower case), cookie or query parameter, else empty. `values` has one text for `exact`,
    `prefix` and `regex` (RE2 syntax, full match), `true` or `false` for `present`, and any number for `in` and for
    `item` (one of them is an item of a comma-separated list). Values of a source are networks.
    """

    subject: Subject
    kind: Kind
    values: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that meet all `conditions` go `to` a version, a share of `percent` basis points of them; the others get
    the other version. `preview`: the canary is reached even when it is aborted. `analyse`: they count for the analysis.
    """

    name: str
    conditions: tuple[Condition, ...]
    to: Literal["stable", "canary"]
    percent: int = 10_000
    preview: bool = False
    analyse: bool = False

    @property
    def reaches_canary(self) -> bool:
        """Whether the rule can send a request to the canary."""
        return self.to == "canary" or self.percent < 10_000
