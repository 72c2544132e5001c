"""Typed subscriptions. Publisher and subscribers get the same one at construction, and do not know each other.

Reports lead to verdicts, verdicts to rollouts, rollouts to another table, and that table to other reports. No order of
construction could tie this circle by references.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from canaryproxy.analysis.finding import JudgeReport
from canaryproxy.model.report import Delta
from canaryproxy.processes.yield_cpu import yield_cpu

Item = TypeVar("Item")


class Subscription(Generic[Item]):
    """What is published is handed to every subscriber at once, in the order in which they subscribed. What one of them
    raises reaches the publisher, and those behind it are not called.
    """

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Item], None]] = []

    def __repr__(self) -> str:
        return f"<Subscription of {len(self._subscribers)}>"

    def subscribe(self, subscriber: Callable[[Item], None]) -> None:
        """Have it called with everything that is published from now on."""
        self._subscribers.append(subscriber)

    def publish(self, item: Item) -> None:
        """Hand it to all. Others that wait for this CPU get it in between."""
        for subscriber in self._subscribers:
            yield_cpu()
            subscriber(item)


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What the worker of a slot has counted since its last report."""

    slot: int
    delta: Delta


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """The worker of a slot is no more: what it had open is over."""

    slot: int


@dataclass(frozen=True, slots=True)
class WorkersChanged:
    """The number of workers that serve, or of restarts, is another one: what has happened, in `words`."""

    words: str


@dataclass(frozen=True, slots=True)
class FailingVerdict:
    """The canary of a route has just been found to fail."""

    route: str
    analysis: JudgeReport


Deltas = Subscription[WorkerReport | WorkerGone | WorkersChanged]
"""What workers say of the traffic, and what becomes of them."""

Verdicts = Subscription[FailingVerdict]
"""What judges find that cannot wait for the next look."""
