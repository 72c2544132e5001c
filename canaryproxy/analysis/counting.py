"""What counts: which ends of requests can be judged, which of them are failures, who is at risk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.analysis.finding import Exposure
from canaryproxy.analysis.spec import ErrorSpec
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.model.document import Document, plain, real, whole, wholes
from canaryproxy.model.failure import FAILURES, Outcome
from canaryproxy.model.report import CounterDelta

NEUTRAL_OUTCOMES = frozenset((Outcome.CLIENT_ABORT, Outcome.OVERFLOW))
"""A client that leaves and load that is shed say nothing of the version."""

CANARY, STABLE = 0, 1
"""Places of the two versions in pairs."""


DRAWN = ("weight", "affinity")
"""Reasons of decisions that the weight was asked for."""


def side_of(version: str) -> int:
    """The place of a version in pairs."""
    return CANARY if version == "canary" else STABLE


def judged(cell: CounterDelta) -> int:
    """Requests of a cell that ended and can be judged."""
    return sum(count for outcome, count in cell.outcomes.items() if outcome not in NEUTRAL_OUTCOMES)


def failures(cell: CounterDelta, errors: ErrorSpec) -> int:
    """Those of them that failed: no answer at all, or a status that counts as one."""
    lost = sum(
        count for outcome, count in cell.outcomes.items() if outcome in FAILURES and outcome != Outcome.ERROR_5XX
    )
    return lost + matching_statuses(cell.replies, errors.statuses)


CLIENT_ERROR_CODES = ((400, 498),)
"""Statuses that are the client's fault by the book; 499 is a client that left."""


def client_errors(cell: CounterDelta) -> int:
    """Answers that lay the fault on the client."""
    return matching_statuses(cell.replies, CLIENT_ERROR_CODES) if cell.replies else 0


def matching_statuses(replies: Mapping[int, int], statuses: tuple[tuple[int, int], ...]) -> int:
    """Answers whose status is in one of these ranges."""
    return sum(count for status, count in replies.items() if any(low <= status <= high for low, high in statuses))


def pair() -> list[int]:
    """Two counts, of canary and stable."""
    return [0, 0]


@dataclass(slots=True)
class BlockCounts:
    """Counts of one look, of canary and stable. `ruled`: there are requests among them that a rule decided."""

    ended: list[int] = field(default_factory=pair)
    failed: list[int] = field(default_factory=pair)
    client_errors: list[int] = field(default_factory=pair)
    drawn: list[int] = field(default_factory=pair)
    ruled: bool = False
    events: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)

    def values(self, goal: str) -> tuple[list[float], list[float]]:
        """The values of a goal's events."""
        return self.events.setdefault(goal, ([], []))

    def block(self, hits: list[int]) -> Block:
        """Requests that ended, and those of them that are meant."""
        return Block(self.ended[CANARY], hits[CANARY], self.ended[STABLE], hits[STABLE])


@dataclass(slots=True)
class UsersAtRisk:
    """Users to whom something may happen for the first time in a step: those seen, less those to whom it has happened.
    By chance it is the next user's turn, any user's, so the share of the canary is its share of those at risk (the
    log-rank test as an e-process: ter Schure, Perez-Ortiz, Ly and Grünwald, arXiv 2011.06931).
    """

    seen: list[int] = field(default_factory=pair)
    gone: list[int] = field(default_factory=pair)

    def first_failures(self, new_users: list[int], hit: list[int]) -> Block:
        """So many more were seen, and to so many of all it has happened now."""
        for side in (CANARY, STABLE):
            self.seen[side] += new_users[side]
        canary, stable = (max(seen - gone, hits) for seen, gone, hits in zip(self.seen, self.gone, hit, strict=True))
        for side in (CANARY, STABLE):
            self.gone[side] += hit[side]
        return Block(canary, hit[CANARY], stable, hit[STABLE])

    def snapshot(self) -> Document:
        """As plain data."""
        return {"seen": [*self.seen], "gone": [*self.gone]}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self.seen, self.gone = wholes(data["seen"], 2), wholes(data["gone"], 2)


@dataclass(slots=True)
class ExposureCounter:
    """What the canary was trusted with since it is judged, look by look: stable's rate is that of the same time."""

    requests: int = 0
    failed: int = 0
    expected: float = 0.0

    def look(self, tally: BlockCounts) -> None:
        """A second has passed."""
        self.requests += tally.ended[CANARY]
        self.failed += tally.failed[CANARY]
        if tally.ended[STABLE]:
            self.expected += tally.ended[CANARY] * tally.failed[STABLE] / tally.ended[STABLE]

    def now(self, tally: BlockCounts) -> Exposure:
        """With what came since the last look."""
        all_of_it = ExposureCounter(self.requests, self.failed, self.expected)
        all_of_it.look(tally)
        return Exposure(all_of_it.requests, all_of_it.failed, all_of_it.failed - all_of_it.expected)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"requests": self.requests, "failed": self.failed, "expected": plain(self.expected)}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self.requests, self.failed = whole(data["requests"]), whole(data["failed"])
        self.expected = real(data["expected"])
