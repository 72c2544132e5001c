"""What all connections and exchanges of a worker share: the table's index, the splits, the pools, the counters, and how
time is told.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable

from canaryproxy.http1.hops import Hops
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.message import RequestHead
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.proxy.buffers import UNLIMITED, Buffers
from canaryproxy.proxy.mirror import Mirrors
from canaryproxy.proxy.pool import Pool
from canaryproxy.proxy.respond import answer
from canaryproxy.proxy.shield import Budget, Patience
from canaryproxy.proxy.shortage import Shortage
from canaryproxy.proxy.sockets import Sockets
from canaryproxy.proxy.tunnel import Tunnel
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.accesslog import Entry
from canaryproxy.telemetry.errorlog import ErrorLog
from canaryproxy.telemetry.record import Recorder

SWEEP = 0.25
"""Seconds between two sweeps; deadlines are met up to twice that late, never early."""

RECLAIMED = 8
"""Idle connections of an endpoint that are closed at a time, where descriptors have run out."""

NOWHERE = Endpoint("", 0)
"""Stands for the endpoint of a version that has none."""


class Shared:
    """`identity` is the instance's pseudonym; `access_log` takes an entry for every exchange, at `wall` time; clocks
    and dice are arguments. Users are numbered under the `secret`. `held` counts exchanges of versions with a limit.
    """

    __slots__ = (
        "_budgets", "_identity", "_loop", "_patiences", "_pools", "access_log", "buffers", "draining", "errors", "held",
        "hops", "index", "keep_alive", "lent", "loads", "mirrors", "now", "recorder", "settings", "slack", "sockets",
        "splits", "tick", "tunnels", "wall",
    )  # fmt: skip

    def __init__(
        self, settings: PlaneSettings, loop: asyncio.AbstractEventLoop, identity: str, now: Callable[[], float],
        wall: Callable[[], float], dice: Callable[[], float], access_log: Callable[[Entry], None] | None,
        secret: bytes = b"",
    ) -> None:  # fmt: skip
        self.settings = settings
        self.now = now
        self.wall = wall
        self.access_log = access_log
        self.tick = now()
        self.slack = SWEEP
        self.keep_alive = settings.timeouts.keep_alive + SWEEP
        self.draining = False
        self.recorder = Recorder(secret)
        self.hops = Hops(identity, int(dice() * 2**64))
        self.index = RouteIndex(RoutingTable(0, ()))
        self.splits = Splits(dice)
        self.buffers = Buffers(settings.limits.buffers or UNLIMITED)
        self.sockets = Sockets(loop, Shortage(now), self.buffers)
        self.sockets.reclaim = self.reclaim
        self.errors = ErrorLog(now)
        self.mirrors = Mirrors(self.sockets, self.splits, self.hops, self.recorder, self.errors, now)
        self.lent: dict[Decision, Pool] = {}
        self.loads = self.pool_of
        self.tunnels: set[Tunnel] = set()
        self.held: Counter[tuple[str, str]] = Counter()
        self._loop = loop
        self._identity = identity
        self._pools: dict[Endpoint, Pool] = {}
        self._budgets: dict[str, Budget] = {}
        self._patiences: dict[float, Patience] = {}

    def pool_of(self, decision: Decision) -> Pool:
        """The connections to the decision's endpoint, found or made, and noted in `lent`."""
        pool = self.lent.get(decision)
        if pool is None:
            endpoint = decision.endpoint or NOWHERE
            pool = self._pools.get(endpoint)
            if pool is None:
                pool = self._pools[endpoint] = Pool(endpoint, self.sockets)
            self.lent[decision] = pool
        return pool

    def reclaim(self) -> bool:
        """Close idle connections, so that others can be opened: the mirrors' before all. Whether there were any."""
        return self.mirrors.spare(RECLAIMED) > 0 or sum(pool.spare(RECLAIMED) for pool in self._pools.values()) > 0

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """A tunnel is gone."""
        self.tunnels.discard(tunnel)

    def pay(self, decision: Decision, now: float) -> None:
        """A canary request begins behind a shield, and adds its share to the budget."""
        shield = decision.route.shield
        if shield is not None:
            budget = self._budgets.get(decision.route.name)
            if budget is None:
                budget = self._budgets[decision.route.name] = Budget()
            budget.pay(shield.budget, now)

    def affords_shield(self, decision: Decision) -> bool:
        """Whether the route's budget has an answer by stable left."""
        shield, budget = decision.route.shield, self._budgets.get(decision.route.name)
        return shield is not None and budget is not None and budget.affords(shield.budget, self.now(), shield.timeout)

    def spend_shield(self, decision: Decision) -> bool:
        """Whether the route's budget has an answer by stable left, which is spent."""
        shield, budget = decision.route.shield, self._budgets.get(decision.route.name)
        return shield is not None and budget is not None and budget.spend(shield.budget, self.now(), shield.timeout)

    def patience_of(self, decision: Decision) -> Patience:
        """What keeps the time of the route's shield."""
        seconds = math.inf if decision.route.shield is None else decision.route.shield.timeout
        patience = self._patiences.get(seconds)
        if patience is None:
            patience = self._patiences[seconds] = Patience(self._loop, seconds)
        return patience

    def soon(self, call: Callable[[], None]) -> None:
        """In the loop's next turn."""
        self._loop.call_soon(call)

    def in_seconds(self, seconds: float) -> float:
        """A deadline that is not met early although `tick` is coarse."""
        return self.tick + seconds + self.slack

    def last_words(self, failure: Failure) -> bytes:
        """Our own response on a connection of which nothing else is to come."""
        return answer(failure, None, self._identity, close=True, extra=self.hops.identify(None))

    def answer(
        self, transport: asyncio.Transport, failure: Failure, head: RequestHead | None, *, close: bool,
        extra: bytes = b"",
    ) -> None:  # fmt: skip
        """Send our own response for a failure; `extra` are further lines, the request's id among them."""
        transport.write(answer(failure, head, self._identity, close=close, extra=extra))
