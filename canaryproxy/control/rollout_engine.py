"""Advances rollouts: feeds observations to the state machine, once a second and when a canary fails.

Decisions are pure (`canaryproxy.rollout`); the controller stores and publishes them.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

from canaryproxy.analysis import wording
from canaryproxy.config.schema.hooks import When
from canaryproxy.control.controller import ChangePriority, Controller
from canaryproxy.control.evidence_keeper import EvidenceKeeper
from canaryproxy.control.hooks import Hooks
from canaryproxy.control.judges import Judges
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.results import NoCanaryError, NoSuchRouteError, Reload, RolloutResult
from canaryproxy.control.rollout_observer import RolloutObserver
from canaryproxy.control.route_states import Actor, RevisionConflictError, RouteStates
from canaryproxy.control.state import NO_ROLLOUT, State
from canaryproxy.control.topology import Topology
from canaryproxy.control.version_tracker import VersionTracker, as_named, retried, with_missing
from canaryproxy.probes.endpoints import which
from canaryproxy.processes.subscriptions import Verdicts
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import FULL_WEIGHT, Plan
from canaryproxy.rollout.starting import REMOVED
from canaryproxy.rollout.state import UNDER_WAY, IllegalTransitionError, Rollout, RolloutEvent, Verb

log = logging.getLogger("canaryproxy")

ENGINE = Actor("canaryproxy", "engine")

ENDS = ("succeeded", "rolled_back")

# Seconds of a step that are logged as a warning where no timeout is configured.
LONG_STEP_SECONDS = 3600.0


@dataclass(eq=False)
class Notifier:
    """Follows up changes of rollouts. `ended` counts finished ones by route, phase and reason."""

    _topology: Topology
    _states: RouteStates
    _observer: RolloutObserver
    _hooks: Hooks
    _wall_clock: Callable[[], float]
    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter, init=False)

    def __repr__(self) -> str:
        return f"<Notifier: {self.ended.total()} ended>"

    def follow_up(self, route: str, before: Rollout, done: RolloutResult) -> None:
        """Follow up the change of a route's rollout from `before` to `done`."""
        turned = done.rollout.phase != before.phase
        if turned and done.rollout.phase in ENDS:
            self.ended[route, done.rollout.phase, done.rollout.reason] += 1
        config = self._topology.config.routes.get(route)
        if config is None:
            return
        past = self._states.state[route].past
        begun = done.rollout.identity.id != before.identity.id
        if begun and past and past[-1].superseded_by == done.rollout.identity.id:
            self.ended[route, "superseded", ""] += 1
        if done.rollout.step != before.step:
            self._warn(route)
        self._hooks.notify(route, config.rollout, done, self._wall_clock(), turned=turned)

    def _warn(self, route: str) -> None:
        """Warn of a step that will take longer than its timeout."""
        rollout, config = self._states.state[route].rollout, self._topology.config.routes[route].rollout
        estimate, traffic = self._observer.estimate(route), self._observer.traffic(route)
        if rollout.phase == "progressing" and estimate > (config.step_timeout or LONG_STEP_SECONDS):
            rounded = f"about {wording.seconds(float(f'{estimate:.2g}'))}" if math.isfinite(estimate) else ""
            needs, step = rounded or "traffic, but there is none", f"{rollout.weight / 100:g}"
            rate = wording.number(traffic)
            log.warning("%s: at %s requests/s the step to %s %% needs %s", route, rate, step, needs)


@dataclass(eq=False)
class RolloutEngine:
    """The rollouts of an instance. `clock` is the clock of the deltas, `wall_clock` gives Unix time in seconds."""

    _topology: Topology
    _states: RouteStates
    _controller: Controller
    _judges: Judges
    _versions: VersionTracker
    _observer: RolloutObserver
    _evidence_keeper: EvidenceKeeper
    _hooks: Hooks
    _notifier: Notifier
    verdicts: InitVar[Verdicts]
    _clock: Callable[[], float]
    _wall_clock: Callable[[], float]
    precedence: ChangePriority = field(default_factory=ChangePriority, init=False)
    _urgent: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _troubled: set[str] = field(default_factory=set, init=False)
    _state: State = field(default_factory=dict, init=False)
    _moving: list[str] = field(default_factory=list, init=False)
    _aborts: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self, verdicts: Verdicts) -> None:
        verdicts.subscribe(lambda failing: self._run_urgent(failing.route, self.tick_route(failing.route)))

    def __repr__(self) -> str:
        return f"<RolloutEngine: {len(self.under_way)} under way>"

    @property
    def under_way(self) -> list[str]:
        """Routes whose rollout advances by itself. Computed again only when a state has changed."""
        state = self._states.state
        if state is not self._state:
            self._state = state
            self._moving = [name for name, one in state.items() if one.rollout.moves]
        return self._moving

    def of(self, route: str) -> Rollout:
        """A route's current rollout."""
        return self._states.state[route].rollout

    def change(self, route: str) -> RolloutEvent:
        """The event of a replaced canary, with its versions and the report on the one before."""
        return RolloutEvent("changed", identity=self._versions.now(route), report=self._observer.report(route))

    def new_plan(self, route: str) -> Plan:
        """The plan of a rollout that begins now."""
        return self._observer.new_plan(route)

    async def do(
        self,
        route: str,
        verb: Verb,
        actor: Actor,
        *,
        full: bool = False,
        version: str = "",
        stable: str = "",
        only: str = "",
        revision: int | None = None,
    ) -> RolloutResult:
        """Apply a verb. `version` and `stable` name the versions, `only` is the id of the rollout it is meant for.
        Raises what `Controller.apply_event` does; no gate is asked for a stale request.
        """
        canary = self._canary(route)
        self._controller.expect(route, revision)
        if canary == which(None):
            raise NoCanaryError(route)
        aborts = self._aborts[route]
        if verb == "abort" and only in ("", self.of(route).identity.id):
            self._aborts[route] += 1
        identity = self._versions.now(route, version, stable)
        event = RolloutEvent(verb, full=full, by=actor.name, identity=identity, only=only)
        plan = self._observer.plan(route)
        if verb == "retry" and not version:
            event = replace(event, identity=retried(self.of(route).identity, identity))
        if verb in ("start", "retry"):
            plan, before = self._observer.new_plan(route), self.of(route)
            would = transition(plan, before, event, self._wall_clock())[0]
            hooks = () if would == before else self._topology.config.routes[route].rollout.hooks
            refusal = await self._hooks.ask(route, hooks, "start", replace(before, identity=event.identity))
            if self._canary(route) != canary:
                refusal = "while the gates were asked, the canary became another one"
            elif self.of(route).identity.id != before.identity.id:
                refusal = f"while the gates were asked, {self.of(route).identity} began"
            if self._aborts[route] != aborts:
                refusal = "aborted while the gates were asked"
            if refusal:
                raise IllegalTransitionError(refusal)
        return await self._roll(route, plan, event, actor, revision)

    def _canary(self, route: str) -> object:
        """The identity of a route's canary. Raises `NoSuchRouteError`."""
        config = self._topology.config.routes.get(route)
        if config is None or route not in self._states.state:
            raise NoSuchRouteError(route)
        return which(config.canary)

    async def _roll(
        self, route: str, plan: Plan, event: RolloutEvent, actor: Actor, revision: int | None = None
    ) -> RolloutResult:
        before, event = self.of(route), replace(event, report=self._observer.report(route))
        if event.kind == "changed":
            self._judges.renew(route, self._clock())
        with self.precedence.change():
            done = await self._controller.apply_event(route, plan, event, actor, revision)
        if event.kind in ("start", "retry") and done.rollout.identity.id != before.identity.id:
            self._judges.renew(route, self._clock())
        self._notifier.follow_up(route, before, done)
        await self._controller.acknowledged(done.generation)
        return done

    def reloaded(self, reload: Reload) -> None:
        """Follow up a reload: rollouts of other canaries have restarted, or may start automatically."""
        for route in reload.renewed:
            self._judges.renew(route, self._clock())
        for route, done in reload.begun.items():
            ended_before = done.rollout.phase == "rolled_back" and done.rollout.reason != REMOVED
            self._notifier.follow_up(route, done.rollout if ended_before else NO_ROLLOUT, done)
        for route in [route for route in self.under_way if route in reload.edits]:
            done = RolloutResult(self.of(route), reload.edits[route], reload.generation, 0)
            self._notifier.follow_up(route, done.rollout, done)
        for route in reload.others:
            self._begin(route)

    async def _changed(self, route: str) -> None:
        """Restart the rollout of a canary that was replaced in place."""
        if route not in self._topology.config.routes:
            return
        rollout, event = self.of(route), RolloutEvent("changed", identity=self._versions.now(route))
        if rollout.phase in UNDER_WAY:
            event = as_named(rollout.identity, event, self._wall_clock() - rollout.began)
        await self._roll(route, self._observer.new_plan(route), event, ENGINE)
        self._begin(route)

    def _begin(self, route: str) -> None:
        """Start a rollout where `start: auto` applies, in the background: its gates may take their time."""
        state = self._states.state[route]
        wanted = self._auto(route)
        free = state.rollout.phase == "idle" or (state.rollout.off and state.rollout.reason != "manual")
        now = self._versions.now(route)
        if wanted and free and not state.latched and not (now.stable and now.stable == now.canary):
            self._run_urgent(route, self.do(route, "start", ENGINE))

    def _auto(self, route: str) -> bool:
        return self._topology.config.routes[route].rollout.start == "auto"

    async def tick(self) -> None:
        """Advance all rollouts; called once a second."""
        for route in self._versions.others():
            await self._guarded(route, self._changed(route))
        for route in self._versions.merged():
            if self._auto(route) and self.of(route).phase == "succeeded":
                await self._guarded(route, self.do(route, "reset", ENGINE))
        for route in self.under_way:
            await self._guarded(route, self._go_on(route))

    async def _go_on(self, route: str) -> None:
        """Add versions to the rollout's identity that have been reported since it began, then advance it."""
        identity = self.of(route).identity
        known = with_missing(identity, self._versions.now(route))
        if self.of(route).phase in UNDER_WAY and known != identity:
            await self._roll(route, self._observer.plan(route), RolloutEvent("named", identity=known), ENGINE)
        await self.tick_route(route)

    async def store_evidence(self) -> None:
        """Store the evidence about canaries under way, and what could not be stored before."""
        await self._controller.keep()
        await self._evidence_keeper.store(self.under_way)

    async def load_evidence(self) -> None:
        """Restore what the previous process stored."""
        for route, state in self._states.state.items():
            if state.rollout.identity.announced:
                self._versions.resume(route, state.rollout.identity.announced)
        await self._evidence_keeper.restore(self.under_way)

    def _run_urgent(self, route: str, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(route, work))
        self._urgent.add(task)
        task.add_done_callback(self._urgent.discard)

    async def tick_route(self, route: str) -> None:
        """Feed the current observation to the state machine and apply the result."""
        if route not in self._topology.config.routes or not self.of(route).moves:
            return
        plan, observation, now = self._observer.plan(route), self._observer.observe(route), self._wall_clock()
        before = self.of(route)
        after = transition(plan, before, RolloutEvent("tick", observation), now)[0]
        if before.reason == "gate" or (before.step is not None and after.step == before.step + 1):
            answer = self._gate_answer(route)
            if answer is None and before.reason != "gate":
                return
            observation = replace(observation, gate=before.why if answer is None else answer)
            after = transition(plan, before, RolloutEvent("tick", observation), now)[0]
        if after != before:
            await self._roll(route, plan, RolloutEvent("tick", observation), ENGINE)

    def _gate_answer(self, route: str) -> str | None:
        """The answer of the gates before the next weight; None while unknown."""
        hooks = self._topology.config.routes[route].rollout.hooks
        moments: tuple[When, ...] = ("raise", "promotion") if self.of(route).next_weight == FULL_WEIGHT else ("raise",)
        answers = [self._hooks.gate(route, hooks, moment, self.of(route)) for moment in moments]
        if None in answers:
            return None
        return next(filter(None, answers), "")

    async def _guarded(self, route: str, work: Coroutine[Any, Any, object]) -> None:
        """Log the errors of one route and go on with the others; the next tick tries again."""
        try:
            await work
        except IllegalTransitionError as error:
            log.warning("automatic start of rollout %s failed: %s", route, error)
        except (RevisionConflictError, NoCanaryError, NoSuchRouteError):
            log.info("rollout of %s was changed concurrently", route)
        except UnwritableStateError as error:
            if route not in self._troubled:
                log.error("rollout of %s cannot continue, its state cannot be written: %s", route, error)
            self._troubled.add(route)
        except NotAcknowledgedError as error:
            log.error("%s: %s", route, error)
        except Exception:
            log.exception("rollout of %s failed to continue", route)
        else:
            self._troubled.discard(route)
