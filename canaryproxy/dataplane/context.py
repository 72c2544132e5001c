"""What all connections and exchanges of a worker share, grouped into small objects."""

import asyncio
from collections import Counter
from collections.abc import Callable

from canaryproxy.dataplane.buffers import UNLIMITED, Buffers
from canaryproxy.dataplane.local_response import answer
from canaryproxy.dataplane.mirror import Mirrors
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.resource_exhaustion import ResourceExhaustion
from canaryproxy.dataplane.shield import Shields
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.tunnel import Tunnel
from canaryproxy.http.forwarding import HeadRewriter
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.record.access_log import AccessLogEntry
from canaryproxy.telemetry.record.error_log import ErrorLog
from canaryproxy.telemetry.record.recorder import Recorder

# Seconds between two sweeps. A deadline is met up to twice that late, never early.
SWEEP_SECONDS = 0.25

# Idle connections of an endpoint closed at a time when descriptors have run out.
RECLAIM_BATCH = 8

# Placeholder for the endpoint of a version without endpoints.
NO_ENDPOINT = Endpoint("", 0)


class Clock:
    """The clocks of a worker, in seconds. `now` is monotonic, `wall_clock` is since the epoch; `tick` is `now` at the
    begin of the last sweep, at no cost; `slack` is how far it may be behind. `loop` runs callbacks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.loop = loop
        self.now = now
        self.wall_clock = wall
        self.tick = now()
        self.slack = SWEEP_SECONDS

    def __repr__(self) -> str:
        return f"<Clock at {self.tick:.3f}>"

    def deadline_in(self, seconds: float) -> float:
        """A deadline that is not met early although `tick` is coarse."""
        return self.tick + seconds + self.slack


class Routing:
    """What requests are decided by: the `index` of the current table, and the `splits` that draw the version."""

    def __init__(self, rng: Callable[[], float]) -> None:
        self.index = RouteIndex(RoutingTable(0, ()))
        self.splits = Splits(rng)

    def __repr__(self) -> str:
        return f"<Routing {len(self.index.by_name)} routes>"


class Pools:
    """Connection pools `by_endpoint`, which outlive tables, and `by_decision`, of the current table. `endpoint_load` is
    the load of a decision's endpoint; `in_flight` counts exchanges by (route, version) for versions with a limit.
    """

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.by_decision: dict[Decision, Pool] = {}
        self.by_endpoint: dict[Endpoint, Pool] = {}
        self.in_flight: Counter[tuple[str, str]] = Counter()
        # Stored once: a bound method would otherwise be created for each request.
        self.endpoint_load = self.of

    def __repr__(self) -> str:
        return f"<Pools of {len(self.by_endpoint)} endpoints>"

    def of(self, decision: Decision) -> Pool:
        """The pool of the decision's endpoint, created if there is none, and cached in `by_decision`."""
        pool = self.by_decision.get(decision)
        if pool is None:
            endpoint = decision.endpoint or NO_ENDPOINT
            pool = self.by_endpoint.get(endpoint)
            if pool is None:
                pool = self.by_endpoint[endpoint] = Pool(endpoint, self.sockets)
            self.by_decision[decision] = pool
        return pool


class Telemetry:
    """`recorder` counts, `errors` logs failures of endpoints, `access_log` takes an entry per exchange, if there is
    one. `secret`: the key under which users are hashed.
    """

    def __init__(self, clock: Clock, access_log: Callable[[AccessLogEntry], None] | None, secret: bytes) -> None:
        self.recorder = Recorder(secret)
        self.errors = ErrorLog(clock.now)
        self.access_log = access_log

    def __repr__(self) -> str:
        return f"<Telemetry{'' if self.access_log is None else ' with an access log'}>"


class Lifetime:
    """Whether the worker is about to end (`draining`), and how long clients may be idle until then, in seconds."""

    def __init__(self, keep_alive: float) -> None:
        self.draining = False
        self.keep_alive = keep_alive

    def __repr__(self) -> str:
        return f"<Lifetime{' draining' if self.draining else ''}, idle for {self.keep_alive:g} s>"


class WorkerContext:
    """`identity` is the instance's pseudonym. `buffers` accounts for all bytes held, `head_rewriter` rewrites heads,
    `shields` holds the budgets of the shields, `tunnels` are connections after an upgrade.
    """

    def __init__(
        self, settings: PlaneSettings, clock: Clock, telemetry: Telemetry, identity: str, rng: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.lifetime = Lifetime(settings.timeouts.keep_alive + SWEEP_SECONDS)
        self.telemetry = telemetry
        self.head_rewriter = HeadRewriter(identity, int(rng() * 2**64))
        self.routing = Routing(rng)
        self.buffers = Buffers(settings.limits.buffers or UNLIMITED)
        sockets = Sockets(clock.loop, ResourceExhaustion(clock.now), self.buffers)
        sockets.close_idle_connections = self.close_idle_connections
        self.pools = Pools(sockets)
        self.shields = Shields(clock.loop, clock.now)
        recorder, errors = telemetry.recorder, telemetry.errors
        self.mirrors = Mirrors(sockets, self.routing.splits, self.head_rewriter, recorder, errors, clock.now)
        self.tunnels: set[Tunnel] = set()

    def close_idle_connections(self) -> bool:
        """Close idle connections to free descriptors, the mirrors' first. Returns whether there were any."""
        if self.mirrors.close_idle(RECLAIM_BATCH) > 0:
            return True
        return sum(pool.close_idle(RECLAIM_BATCH) for pool in self.pools.by_endpoint.values()) > 0

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """Forget a closed tunnel."""
        self.tunnels.discard(tunnel)

    def local_response(
        self, failure: Failure, head: RequestHead | None, *, close: bool, extra: bytes | None = None
    ) -> bytes:
        """A response for a failure; `extra` are further header lines, by default a new request id."""
        extra = self.head_rewriter.request_id(head) if extra is None else extra
        return answer(failure, head, self.head_rewriter.identity, close=close, extra=extra)
