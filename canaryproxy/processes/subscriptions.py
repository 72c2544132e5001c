"""Typed subscriptions: publisher and subscribers get the same object at construction and do not know each other.

Reports lead to verdicts, verdicts to rollouts, rollouts to another table, and that table to other reports: references
alone could not close this circle, whatever the order of construction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from canaryproxy.analysis.finding import JudgeReport
from canaryproxy.model.report import Delta

Item = TypeVar("Item")


class Subscription(Generic[Item]):
    """Passes each item to every subscriber, in order. An exception reaches the publisher and skips the others."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Item], None]] = []

    def __repr__(self) -> str:
        return f"<Subscription of {len(self._subscribers)}>"

    def subscribe(self, subscriber: Callable[[Item], None]) -> None:
        """Call `subscriber` with everything published from now on."""
        self._subscribers.append(subscriber)

    def publish(self, item: Item) -> None:
        """Pass `item` to all."""
        for subscriber in self._subscribers:
            subscriber(item)


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker has counted since its last report."""

    slot: int
    delta: Delta


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """The worker of a slot has ended, and everything it had open with it."""

    slot: int


@dataclass(frozen=True, slots=True)
class WorkersChanged:
    """The number of serving workers or of restarts has changed; `words` is the event's text."""

    words: str


@dataclass(frozen=True, slots=True)
class FailingVerdict:
    """The canary of a route has just failed its analysis."""

    route: str
    analysis: JudgeReport


# Reports of workers, and their starts and ends.
Deltas = Subscription[WorkerReport | WorkerGone | WorkersChanged]

# Failing verdicts, which cannot wait for the next tick.
Verdicts = Subscription[FailingVerdict]
