"""Counts of the analysis: requests that can be judged, failures, users at risk."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from canaryproxy.analysis.finding import Exposure
from canaryproxy.analysis.spec import ErrorSpec
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.model.document import Document, plain, real, whole, wholes
from canaryproxy.model.failure import FAILURES, Outcome
from canaryproxy.model.report import CounterDelta

# Outcomes that do not depend on the version: the client disconnected, or load was shed.
NEUTRAL_OUTCOMES = frozenset((Outcome.CLIENT_ABORT, Outcome.OVERFLOW))

# Index of a version in pairs.
CANARY, STABLE = 0, 1

# Reasons of decisions that were made by weight.
DRAWN = ("weight", "affinity")


def side_of(version: str) -> int:
    """The index of a version in pairs."""
    return CANARY if version == "canary" else STABLE


def judged(cell: CounterDelta) -> int:
    """Requests of a cell that ended and can be judged."""
    return sum(count for outcome, count in cell.outcomes.items() if outcome not in NEUTRAL_OUTCOMES)


def failures(cell: CounterDelta, errors: ErrorSpec) -> int:
    """Failed requests of a cell: without a response, or with a status that counts as a failure."""
    lost = sum(
        count for outcome, count in cell.outcomes.items() if outcome in FAILURES and outcome != Outcome.ERROR_5XX
    )
    return lost + matching_statuses(cell.replies, errors.statuses)


# Client errors; 499 is a client that disconnected.
CLIENT_ERROR_CODES = ((400, 498),)


def client_errors(cell: CounterDelta) -> int:
    """Responses with a client error."""
    return matching_statuses(cell.replies, CLIENT_ERROR_CODES) if cell.replies else 0


def matching_statuses(replies: Mapping[int, int], statuses: tuple[tuple[int, int], ...]) -> int:
    """Responses with a status in one of these ranges, both ends included."""
    return sum(count for status, count in replies.items() if any(low <= status <= high for low, high in statuses))


def pair() -> list[int]:
    """Two counts, of canary and stable."""
    return [0, 0]


@dataclass(slots=True)
class BlockCounts:
    """Counts of one look, of canary and stable. `ruled`: a rule decided some of the requests."""

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
        """A block of the requests that ended, with `hits` of them."""
        return Block(self.ended[CANARY], hits[CANARY], self.ended[STABLE], hits[STABLE])


@dataclass(slots=True)
class UsersAtRisk:
    """Users at risk of a first event in a step: users seen, without those that had the event. Under the null hypothesis
    each of them is equally likely to be next, so the expected share of the canary is its share of the users at risk
    (the log-rank test as an e-process: ter Schure, Perez-Ortiz, Ly and Grünwald, arXiv 2011.06931).
    """

    seen: list[int] = field(default_factory=pair)
    gone: list[int] = field(default_factory=pair)

    def first_failures(self, new_users: list[int], hit: list[int]) -> Block:
        """Add new users and users with the event; returns the block to bet on."""
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
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self.seen, self.gone = wholes(data["seen"], 2), wholes(data["gone"], 2)


@dataclass(slots=True)
class ExposureCounter:
    """Requests of the canary in the analysis, and the failures expected at the rate of stable in the same look."""

    requests: int = 0
    failed: int = 0
    expected: float = 0.0

    def look(self, tally: BlockCounts) -> None:
        """Add a look."""
        self.requests += tally.ended[CANARY]
        self.failed += tally.failed[CANARY]
        if tally.ended[STABLE]:
            self.expected += tally.ended[CANARY] * tally.failed[STABLE] / tally.ended[STABLE]

    def now(self, tally: BlockCounts) -> Exposure:
        """The exposure with the present look."""
        total = replace(self)
        total.look(tally)
        return Exposure(total.requests, total.failed, total.failed - total.expected)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"requests": self.requests, "failed": self.failed, "expected": plain(self.expected)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self.requests, self.failed = whole(data["requests"]), whole(data["failed"])
        self.expected = real(data["expected"])
