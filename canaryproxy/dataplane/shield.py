"""How long a shielded canary may take, and how often stable may answer for it.

The time is kept to the millisecond, unlike all other timeouts: the user waits for it in vain. All exchanges with the
same timeout share one timer, since the oldest of them is always the next one due.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from canaryproxy.model.decision import Decision
from canaryproxy.model.table import FULL_WEIGHT, RoutingTable

# The cost of one answer by stable: a whole request, in basis points.
PERCENT = FULL_WEIGHT

# Seconds for which a request's share of the budget can be used after the shield's time.
MAX_SAVED_SECONDS = 10.0

# Seconds by which stable is asked before the time is over, a tenth of it at most: the move takes time as well.
MAX_AHEAD_SECONDS = 0.005


class RetryBudget:
    """The share of a route's canary requests that stable may answer, as an account: every request deposits its share,
    every answer by stable withdraws a whole one. Deposits expire, so a long quiet time does not pay for a storm. Times
    in seconds of one monotonic clock, shares in basis points.
    """

    __slots__ = ("_deposits",)

    def __init__(self) -> None:
        self._deposits: deque[list[float]] = deque()

    def __repr__(self) -> str:
        return f"<RetryBudget {sum(share for _, share in self._deposits):g} of {PERCENT}>"

    def deposit(self, share: int, now: float) -> None:
        """Add the share of a new canary request."""
        paid, second = self._deposits, int(now)
        if paid and paid[-1][0] == second:
            paid[-1][1] += share
        else:
            paid.append([second, share])

    def can_withdraw(self, share: int, now: float, timeout: float) -> bool:
        """Whether stable may answer once more. With a share of 100 % it always may."""
        if share >= PERCENT:
            return True
        paid = self._deposits
        while paid and paid[0][0] < now - timeout - MAX_SAVED_SECONDS - 1:
            paid.popleft()
        return sum(one[1] for one in paid) >= PERCENT

    def withdraw(self, share: int, now: float, timeout: float) -> bool:
        """Withdraw one answer by stable; returns False if the budget does not allow it."""
        if share >= PERCENT:
            return True
        if not self.can_withdraw(share, now, timeout):
            return False
        paid = self._deposits
        owed = float(PERCENT)
        while owed:
            part = min(owed, paid[0][1])
            owed -= part
            paid[0][1] -= part
            if not paid[0][1]:
                paid.popleft()
        return True


class HasDeadline(Protocol):
    """Something with a time limit."""

    def overdue(self) -> None:
        """The time is over."""


class DeadlineQueue:
    """Everything that waits for `seconds` at most, oldest first."""

    __slots__ = ("_loop", "_seconds", "_timer", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds - min(MAX_AHEAD_SECONDS, seconds / 10)
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[HasDeadline, float] = {}

    def __repr__(self) -> str:
        return f"<DeadlineQueue {self._seconds:g} s: {len(self._waiting)} waiting>"

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: HasDeadline) -> None:
        """Start the time of `one`."""
        due = self._waiting[one] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._expire)

    def remove(self, one: HasDeadline) -> None:
        """Stop the time of `one`."""
        self._waiting.pop(one, None)

    def _expire(self) -> None:
        """Call `overdue` of all whose time is over, and set the timer for the next."""
        self._timer = None
        now = self._loop.time()
        over = []
        for one, due in self._waiting.items():
            if due > now:
                self._timer = self._loop.call_at(due, self._expire)
                break
            over.append(one)
        for one in over:
            self.remove(one)
        # Only now: `overdue` may add to this queue, or remove others from it.
        for one in over:
            one.overdue()

    def cancel(self) -> None:
        """Stop the timer."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Shields:
    """The shields of a worker: `budgets` by route name, and a queue for each timeout in `patiences`."""

    __slots__ = ("_clock", "_loop", "budgets", "patiences")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self.budgets: dict[str, RetryBudget] = {}
        self.patiences: dict[float, DeadlineQueue] = {}

    def __repr__(self) -> str:
        return f"<Shields of {sorted(self.budgets)}>"

    def deposit(self, decision: Decision, now: float) -> None:
        """Add the share of a new canary request to the route's budget."""
        shield = decision.route.shield
        if shield is not None:
            budget = self.budgets.get(decision.route.name)
            if budget is None:
                budget = self.budgets[decision.route.name] = RetryBudget()
            budget.deposit(shield.budget, now)

    def can_withdraw(self, decision: Decision) -> bool:
        """Whether the route's budget allows an answer by stable."""
        shield, budget = decision.route.shield, self.budgets.get(decision.route.name)
        if shield is None or budget is None:
            return False
        return budget.can_withdraw(shield.budget, self._clock(), shield.timeout)

    def withdraw(self, decision: Decision) -> bool:
        """Withdraw an answer by stable from the route's budget; returns False if it does not allow it."""
        shield, budget = decision.route.shield, self.budgets.get(decision.route.name)
        if shield is None or budget is None:
            return False
        return budget.withdraw(shield.budget, self._clock(), shield.timeout)

    def deadline_queue(self, decision: Decision) -> DeadlineQueue:
        """The queue for the timeout of the route's shield."""
        seconds = math.inf if decision.route.shield is None else decision.route.shield.timeout
        queue = self.patiences.get(seconds)
        if queue is None:
            queue = self.patiences[seconds] = DeadlineQueue(self._loop, seconds)
        return queue

    def publish(self, table: RoutingTable) -> None:
        """Apply a new table: drop budgets of removed routes, and unused queues."""
        routes = {route.name: route.shield for route in table.routes}
        self.budgets = {name: budget for name, budget in self.budgets.items() if name in routes}
        times = {shield.timeout for shield in routes.values() if shield is not None}
        self.patiences = {time: one for time, one in self.patiences.items() if one or time in times}

    def close(self) -> None:
        """Stop all timers."""
        for queue in self.patiences.values():
            queue.cancel()
