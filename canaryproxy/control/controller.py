"""The single writer of weights, rules and rollout events.

Every change of traffic is made here or by `control.reconfiguration`, one at a time: it is stored, then published, and
then, without blocking the next change, acknowledged by every worker. A change that takes traffic from a canary is
published first and stored afterwards, with retries.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from canaryproxy.config import Config
from canaryproxy.config.schema.rules import RuleConfig, RuleSet
from canaryproxy.control.events import EventBus, publish_rollout, publish_route_change
from canaryproxy.control.results import Changed, NoCanaryError, NoSuchRouteError, RolloutResult
from canaryproxy.control.route_states import Actor, RevisionConflictError, RouteStates
from canaryproxy.control.state import RouteState, State, waits, with_rollout, with_weight
from canaryproxy.control.table_publisher import TablePublisher
from canaryproxy.control.topology import EndpointChange, Topology
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.health import newly_unhealthy
from canaryproxy.rollout.machine import NOTICED, known, transition
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import IllegalTransitionError, Notice, RolloutEvent, summary

log = logging.getLogger("canaryproxy")

Rules = tuple[RuleConfig, ...]

# The new state of a route, and a text of what has changed.
Described = tuple[RouteState, str]

# Makes the new state of a route. May raise.
Change = Callable[[RouteState], Described]

RulesChange = Callable[[Rules], Rules]
# Actor, action, detail, and the generation until then.
AuditEntry = tuple[Actor, str, str, int]

# Seconds that a change which is already published waits for the disk: longer than a healthy disk takes, shorter than
# the usual timeouts of clients. Storing continues in the background.
STORE_TIMEOUT_SECONDS = 5.0

# Rules that a message names.
MAX_NAMED = 20

# Seconds that a read waits at most: a hanging disk or worker must not stop reads.
MAX_WAIT_SECONDS = 0.25


class ChangePriority:
    """Lets changes go first: while one is in progress, reads wait, for a limited time. A change passes through the
    event loop many times, and each time waits for everything that is ready to run.
    """

    def __init__(self) -> None:
        self._changes = 0
        self._none = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ChangePriority of {self._changes} changes>"

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """A change is in progress until the end of the block."""
        self._changes += 1
        self._none.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if not self._changes:
                self._none.set()

    async def yield_to_changes(self) -> None:
        """Wait for changes in progress."""
        if self._changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await self._none.wait()

    async def breathe(self) -> None:
        """Between two steps of a long task: yield to the event loop and to changes."""
        await asyncio.sleep(0)
        await self.yield_to_changes()


@dataclass(eq=False)
class Controller:
    """Changes the state of routes and publishes the tables. `wall_clock` gives seconds since the epoch."""

    _topology: Topology
    _states: RouteStates
    _tables: TablePublisher
    _events: EventBus
    _wall_clock: Callable[[], float]
    _keeping: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _ill: frozenset[Endpoint] = field(default=frozenset(), init=False)

    def __post_init__(self) -> None:
        self._topology.changes.subscribe(self._endpoints_changed)

    def __repr__(self) -> str:
        return f"<Controller generation {self.generation}, {len(self.config.routes)} routes>"

    @property
    def config(self) -> Config:
        """The effective config: the file's, with the canaries set over the API."""
        return self._topology.config

    @property
    def state(self) -> State:
        """The state of every route."""
        return self._states.state

    @property
    def generation(self) -> int:
        """Of the table published last."""
        return self._tables.generation

    def rules(self, route: str) -> Rules:
        """The effective rules, in order."""
        rules = self.state[route].rules
        return self.config.routes[route].rules if rules is None else rules.rules

    async def set_weight(self, route: str, weight: int, actor: Actor, revision: int | None = None) -> Changed:
        """Set the canary's weight in basis points; returns when every worker uses it.

        Raises `NoSuchRouteError`, `NoCanaryError`, `RevisionConflictError` if `revision` is not the route's,
        `IllegalTransitionError` while a rollout controls the weight, `UnwritableStateError`, and
        `NotAcknowledgedError`, in which case the weight is stored and published nevertheless.
        """

        def change(before: RouteState) -> Described:
            if before.plain and weight:
                raise NoCanaryError(route)
            if not (before.settable or before.plain):
                phase = before.rollout.phase
                raise IllegalTransitionError(f"the rollout is {phase}, and says what the weight is; {known(phase)}")
            after = with_weight(before, weight, self.config.routes[route].weight)
            return after, f"{before.weight / 100:g} -> {weight / 100:g}"

        return await self._change(route, "weight", change, actor, revision)

    async def set_rules(self, route: str, change: RulesChange, actor: Actor, revision: int | None = None) -> Changed:
        """Replace the rules by the result of `change`; otherwise like `set_weight`."""

        def changed(before: RouteState) -> Described:
            was = self.rules(route)
            now = change(was)
            of_steps = self.config.routes[route].rollout.rule_names & {rule.name for rule in now}
            if of_steps:
                raise IllegalTransitionError(f"a rollout step has a rule {min(of_steps)}, too; choose another name")
            if before.plain and any(rule.reaches_canary for rule in now):
                raise NoCanaryError(route)
            listed = ", ".join(rule.name for rule in now[:MAX_NAMED])
            more = " ..." if len(now) > MAX_NAMED else ""
            return replace(before, rules=RuleSet(now)), f"{len(was)} rules -> {listed or 'none'}{more}"

        return await self._change(route, "rules", changed, actor, revision)

    async def _change(self, route: str, action: str, change: Change, actor: Actor, revision: int | None) -> Changed:
        async with self._states.writing:
            after, detail = await self.write(route, action, change, actor, revision)
            self.refresh()
            changed = Changed(self.generation, self._states.revision(route))
        publish_route_change(self._events, route, action, detail, after.weight, actor.name, changed.generation)
        await self.retry_writes()
        await self._tables.acknowledged(changed.generation)
        return changed

    async def write(self, route: str, action: str, change: Change, actor: Actor, revision: int | None) -> Described:
        """Store a change; the caller holds `RouteStates.writing`, and publishes. Returns the new state and a text."""
        before = self.state.get(route)
        if before is None:
            raise NoSuchRouteError(route)
        self.expect(route, revision)
        after, detail = change(before)
        return await self._states.write(route, after, actor, action, detail, self.generation), detail

    def expect(self, route: str, revision: int | None) -> None:
        """Raises `RevisionConflictError` if `revision` is given and not the route's."""
        if revision is not None and revision != self._states.revision(route):
            raise RevisionConflictError(route)

    async def apply_event(
        self, route: str, plan: Plan, event: RolloutEvent, actor: Actor, revision: int | None = None
    ) -> RolloutResult:
        """Apply an event to a route's rollout. An event that takes traffic from the canary is published first and
        stored afterwards, any other is stored first. Workers follow later: see `acknowledged`.

        Raises `NoSuchRouteError`, `NoCanaryError`, `RevisionConflictError` if `revision` is not the route's,
        `IllegalTransitionError` for a verb that is not legal in the phase, and `UnwritableStateError`.
        """
        self.expect(route, revision)
        after, notices = self._transition(route, plan, event)
        if event.kind == "abort" and after is self.state[route] and self._states.writing.locked():
            # A raise may be on its way to the disk: another object makes it stale when it comes back.
            after = replace(after)
        elif waits(self.state[route], after, event):
            # Asked twice, before the lock and under it. Before it, since what takes from the canary must not wait for a
            # disk that another change may be waiting for; under it, since that other change may have come first.
            async with self._states.writing:
                self.expect(route, revision)
                after, notices = self._transition(route, plan, event)
                if waits(self.state[route], after, event):
                    after = await self._states.write(route, after, *self._entry(after, notices, event, actor))
        if after is not self.state[route]:
            self._states.put(route, after, *self._entry(after, notices, event, actor))
        self.refresh()
        done = RolloutResult(after.rollout, notices, self.generation, self._states.revision(route))
        publish_rollout(self._events, route, done.rollout, notices, actor.name, done.generation)
        await self.retry_writes()
        return replace(done, durable=self._states.durable)

    def _transition(self, route: str, plan: Plan, event: RolloutEvent) -> tuple[RouteState, tuple[Notice, ...]]:
        """The state of a route after an event. Raises as `apply_event` does."""
        before = self.state.get(route)
        if before is None:
            raise NoSuchRouteError(route)
        if before.plain and event.kind not in NOTICED:
            raise NoCanaryError(route)
        reaches, now = bool(self._tables.open_canary_paths(route)), self._wall_clock()
        event = replace(event, reaches=reaches, latched=bool(before.latched), waiting=before.waiting)
        rollout, notices = transition(plan, before.rollout, event, now)
        if rollout == before.rollout:
            return before, ()
        return with_rollout(before, rollout, event.report, now), notices

    def _entry(self, after: RouteState, notices: Sequence[Notice], event: RolloutEvent, actor: Actor) -> AuditEntry:
        action = event.kind if event.kind != "tick" else "rollout"
        words = f"{after.rollout.identity}" if event.kind == "named" else summary(after.rollout, notices)
        return actor, action, words, self.generation

    async def retry_writes(self) -> None:
        """Store what is published and not stored. Does not wait for a disk that hangs."""
        if not self._states.durable:
            task = asyncio.get_running_loop().create_task(self.keep())
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
            # `wait`, not `wait_for`: a timeout must not cancel the write.
            await asyncio.wait({task}, timeout=STORE_TIMEOUT_SECONDS)

    async def keep(self) -> None:
        """Store what could not be stored before, if there is anything."""
        async with self._states.writing:
            await self._states.keep()

    async def acknowledged(self, generation: int) -> None:
        """Wait until every worker uses the table. Raises `NotAcknowledgedError`."""
        await self._tables.acknowledged(generation)

    def _endpoints_changed(self, what: EndpointChange) -> None:
        self.refresh()
        if what == "names":
            return
        turned = self._ill ^ self._topology.health.unhealthy
        self._ill = self._topology.health.unhealthy
        for name, sides in newly_unhealthy(self.config, self._topology.endpoints, turned):
            self._events.publish("health", name, **self._topology.health.described(sides))

    def refresh(self) -> None:
        """Compile and publish the current table, unless nothing has changed."""
        asked = self._topology.checks(self.config)
        self._topology.health.watch(asked)
        self._tables.publish(self._tables.compiled(self._topology, self.state, self._topology.unhealthy(asked)))
