"""Rollouts that go on by themselves: what is known is told to the machine, once a second and whenever a canary fails.

Deciding is pure (`canaryproxy.rollout`), what follows is kept and published by the controller; here they only meet.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from canaryproxy.analysis import words
from canaryproxy.analysis.finding import Analysis
from canaryproxy.analysis.report import report
from canaryproxy.config.canary import CanarySet
from canaryproxy.config.hook import When
from canaryproxy.config.rollout import NEEDED_FOR_PROOF, expected_seconds
from canaryproxy.control.canaries import NoCanary
from canaryproxy.control.changes import Changed, NoSuchRoute, Reload, Rolled
from canaryproxy.control.controller import Controller
from canaryproxy.control.endpoints import which
from canaryproxy.control.hooks import Hooks
from canaryproxy.control.judges import Judges
from canaryproxy.control.ledger import Actor, Stale
from canaryproxy.control.noticing import Versions, as_named, filled, retried
from canaryproxy.control.precedence import Precedence
from canaryproxy.control.remembering import Memory
from canaryproxy.control.state import NO_ROLLOUT, State
from canaryproxy.control.store import UnwritableState
from canaryproxy.control.workers import NotAcknowledged
from canaryproxy.rollout.identity import Identity
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import WHOLE, Plan
from canaryproxy.rollout.replan import followed
from canaryproxy.rollout.starting import REMOVED
from canaryproxy.rollout.state import UNDER_WAY, Event, Facts, Illegal, Rollout, Verb
from canaryproxy.telemetry.window import Window

log = logging.getLogger("canaryproxy")

ENDS = ("succeeded", "rolled_back")

ENGINE = Actor("canaryproxy", "engine")

LONG = 3600.0
"""Seconds of a step that are worth a warning where nobody has said how long it may take."""

TRAFFIC = 10.0
"""Seconds of traffic that tell how long a step will take."""


class Rollouts:
    """The rollouts of an instance. `ended` counts those that have, by route, phase and reason. `now` is the clock of
    the deltas, `wall` tells seconds since 1970.
    """

    def __init__(
        self, controller: Controller, judges: Judges, window: Window, hooks: Hooks, now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self._controller = controller
        self._judges = judges
        self._window = window
        self._now = now
        self._wall = wall
        self.precedence = Precedence()
        self.ended: Counter[tuple[str, str, str]] = Counter()
        self._urgent: set[asyncio.Task[None]] = set()
        self._troubled: set[str] = set()
        self._state: State = {}
        self._moving: list[str] = []
        self._versions = Versions(controller, now, wall)
        self._memory = Memory(controller, judges, self._versions, now, wall)
        self._hooks = hooks
        self._aborts: Counter[str] = Counter()
        self.users_of: Callable[[str], int | None] = lambda _: None
        controller.plan_of = self._anew
        controller.change_of = lambda route: Event(
            "changed", identity=self._versions.now(route), report=self.found(route)
        )
        controller.events.about = lambda route: self.identity(route) if route in controller.state else Identity()
        judges.heed(self.aim, self.failing)

    def __repr__(self) -> str:
        return f"<Rollouts: {len(self.under_way)} under way>"

    @property
    def under_way(self) -> list[str]:
        """Routes whose rollout goes on by itself. Found again only when some route has changed."""
        state = self._controller.state
        if state is not self._state:
            self._state = state
            self._moving = [name for name, one in state.items() if one.rollout.moves]
        return self._moving

    def of(self, route: str) -> Rollout:
        """A route's rollout as it is now."""
        return self._controller.state[route].rollout

    def identity(self, route: str) -> Identity:
        """Of the rollout that there is; in idle, what the versions are called now. The name of one that has ended is
        not that of the canary which stands there now.
        """
        rollout = self.of(route)
        if rollout.phase == "idle":
            return replace(self._versions.now(route), id="")
        return filled(rollout.identity, self._versions.now(route)) if rollout.phase in UNDER_WAY else rollout.identity

    def found(self, route: str) -> dict[str, Any]:
        """What is to be said of the canary as it is known now."""
        return report(self._judges.analysis(route, self._now()), self.users_of(route))

    def plan(self, route: str) -> Plan:
        """What it follows: the steps are those of its start."""
        return followed(self._anew(route), self.of(route))

    def _anew(self, route: str) -> Plan:
        """What one that begins now follows."""
        return self._controller.config.routes[route].rollout.plan(self.traffic(route))

    def traffic(self, route: str) -> float:
        """Requests a second lately, of both versions."""
        sides = (self._window.sample((route, version), self._now(), TRAFFIC) for version in ("stable", "canary"))
        return sum(side.requests for side in sides) / TRAFFIC

    def aim(self, route: str) -> int | None:
        """The weight that is to come; None where no rollout is under way."""
        state = self._controller.state.get(route)
        if state is None or state.rollout.phase not in UNDER_WAY or state.rollout.step is None:
            return None
        steps, step = state.rollout.steps, state.rollout.step
        return steps[min(step + 1, len(steps) - 1)].weight

    def estimate(self, route: str) -> float:
        """Seconds that the present step takes, about; infinite where there is no traffic."""
        rollout, config = self.of(route), self._controller.config.routes[route]
        if rollout.step is None or config.spec is None:
            return 0.0
        step = rollout.steps[rollout.step]
        proof = (self.aim(route) or 0) > config.rollout.prove_above
        needed = max(config.spec.min_requests, NEEDED_FOR_PROOF if proof else 0)
        return expected_seconds(step.dwell, step.weight, needed, self.traffic(route))

    def facts(self, route: str) -> Facts:
        """What is known of a route now."""
        config = self._controller.config.routes[route]
        ends = {
            version: [state != "unhealthy" for _, state in side]
            for version, side in self._controller.endpoints(route).items()
        }
        checked = config.canary is not None and config.canary.health is not None
        estimate = self.estimate(route)
        analysis = self._judges.analysis(route, self._now())
        facts = Facts(
            analysis.verdict if config.spec is not None else "pass",
            analysis.reason,
            beyond=analysis.exposed.beyond,
            alone="" if analysis.dry_run else analysis.alone,
            stable_ill=not any(ends["stable"]),
            estimate=estimate if math.isfinite(estimate) else 0.0,
            lost=self._memory.lost(route),
            urgent=any(one.name == "limit:error_rate" and one.verdict == "fail" for one in analysis.checks),
        )
        if checked and ends["canary"] and not any(ends["canary"]):
            why = "no endpoint of the canary passes its health check"
            return replace(facts, verdict="fail", why=why, urgent=True)
        if self.of(route).phase == "progressing" and not self.of(route).weight and facts.verdict != "fail":
            return replace(facts, verdict="pass", why="a step without traffic of its own")
        return replace(facts, verdict="inconclusive") if _dry(analysis) else facts

    async def do(
        self, route: str, verb: Verb, actor: Actor, *, full: bool = False, version: str = "", stable: str = "",
        only: str = "", revision: int | None = None,
    ) -> Rolled:  # fmt: skip
        """Follow a verb; `version` and `stable` are what they call the versions, `only` is the id of
        the one rollout that they mean. Raises what `Controller.roll` does; no gate is
        asked for what is stale.
        """
        canary = self._canary(route)
        self._controller.expect(route, revision)
        if canary == which(None):
            raise NoCanary(route)
        aborts = self._aborts[route]
        if verb == "abort" and only in ("", self.of(route).identity.id):
            self._aborts[route] += 1
        identity = self._versions.now(route, version, stable)
        event, plan = Event(verb, full=full, by=actor.name, identity=identity, only=only), self.plan(route)
        if verb == "retry" and not version:
            event = replace(event, identity=retried(self.of(route).identity, identity))
        if verb in ("start", "retry"):
            plan, before = self._anew(route), self.of(route)
            would = transition(plan, before, event, self._wall())[0]
            hooks = () if would == before else self._controller.config.routes[route].rollout.hooks
            refusal = await self._hooks.ask(route, hooks, "start", replace(before, identity=event.identity))
            if self._canary(route) != canary:
                refusal = "while the gates were asked, the canary became another one"
            elif self.of(route).identity.id != before.identity.id:
                refusal = f"while the gates were asked, {self.of(route).identity} began"
            if self._aborts[route] != aborts:
                refusal = "aborted while the gates were asked"
            if refusal:
                raise Illegal(refusal)
        return await self._roll(route, plan, event, actor, revision)

    def _canary(self, route: str) -> object:
        """Which canary it is. Raises `NoSuchRoute`."""
        config = self._controller.config.routes.get(route)
        if config is None or route not in self._controller.state:
            raise NoSuchRoute(route)
        return which(config.canary)

    async def set_canary(
        self, route: str, canary: CanarySet, actor: Actor, revision: int | None = None
    ) -> Changed:  # fmt: skip
        """Somebody sets the canary, or removes it. Raises what `Controller.set_canary` does, and `NotAcknowledged`."""
        changed, reload = await self._controller.set_canary(route, canary, actor, revision)
        await self.reloaded(reload)
        await self._controller.acknowledged(changed.generation)
        return changed

    async def _roll(self, route: str, plan: Plan, event: Event, actor: Actor, revision: int | None = None) -> Rolled:
        before, event = self.of(route), replace(event, report=self.found(route))
        if event.kind == "changed":
            self._judges.renew(route, self._now())
        with self.precedence.change():
            done = await self._controller.roll(route, plan, event, actor, revision)
        if event.kind in ("start", "retry") and done.rollout.identity.id != before.identity.id:
            self._judges.renew(route, self._now())
        self._follow_up(route, before, done)
        await self._controller.acknowledged(done.generation)
        return done

    def _follow_up(self, route: str, before: Rollout, done: Rolled) -> None:
        """Count it, and tell everybody."""
        turned = done.rollout.phase != before.phase
        if turned and done.rollout.phase in ENDS:
            self.ended[route, done.rollout.phase, done.rollout.reason] += 1
        config = self._controller.config.routes.get(route)
        if config is None:
            return
        past = self._controller.state[route].past
        begun = done.rollout.identity.id != before.identity.id
        if begun and past and past[-1].superseded_by == done.rollout.identity.id:
            self.ended[route, "superseded", ""] += 1
        if done.rollout.step != before.step:
            self._warn(route)
        hooks, notify = config.rollout.hooks, config.rollout.notify
        self._hooks.tell(route, hooks, notify, done.rollout, done.told, self._wall(), turned=turned)

    def _warn(self, route: str) -> None:
        """Say it before a step that takes longer than it may."""
        rollout, config = self.of(route), self._controller.config.routes[route].rollout
        estimate = self.estimate(route)
        if rollout.phase == "progressing" and estimate > (config.step_timeout or LONG):
            needs = (
                f"about {words.seconds(float(f'{estimate:.2g}'))}"
                if math.isfinite(estimate)
                else "traffic, of which there is none"
            )
            log.warning(
                "%s: at %s requests/s the step to %s %% needs %s", route, words.number(self.traffic(route)),
                f"{rollout.weight / 100:g}", needs,
            )  # fmt: skip

    async def reloaded(self, reload: Reload) -> None:
        """The config is another one: rollouts of other canaries have begun anew with it, or may begin by themselves."""
        for route in reload.renewed:
            self._judges.renew(route, self._now())
        for route, done in reload.begun.items():
            ended_before = done.rollout.phase == "rolled_back" and done.rollout.reason != REMOVED
            self._follow_up(route, done.rollout if ended_before else NO_ROLLOUT, done)
        for route in [route for route in self.under_way if route in reload.edits]:
            done = Rolled(self.of(route), reload.edits[route], reload.generation, 0)
            self._follow_up(route, done.rollout, done)
        for route in reload.others:
            self._begin(route)

    async def _changed(self, route: str) -> None:
        """The canary is another one, and stands where the one before stood."""
        if route not in self._controller.config.routes:
            return
        rollout, event = self.of(route), Event("changed", identity=self._versions.now(route))
        if rollout.phase in UNDER_WAY:
            event = as_named(rollout.identity, event, self._wall() - rollout.began)
        await self._roll(route, self._anew(route), event, ENGINE)
        self._begin(route)

    def _begin(self, route: str) -> None:
        """Where a rollout begins by itself, let it. Its gates may take their time; nobody waits."""
        state = self._controller.state[route]
        wanted = self._auto(route)
        free = state.rollout.phase == "idle" or (state.rollout.off and state.rollout.reason != "manual")
        now = self._versions.now(route)
        if wanted and free and not state.latched and not (now.stable and now.stable == now.canary):
            self._aside(route, self.do(route, "start", ENGINE))

    def _auto(self, route: str) -> bool:
        return self._controller.config.routes[route].rollout.start == "auto"

    async def look(self) -> None:
        """A second has passed."""
        for route in self._versions.others():
            await self._trying(route, self._changed(route))
        for route in self._versions.merged():
            if self._auto(route) and self.of(route).phase == "succeeded":
                await self._trying(route, self.do(route, "reset", ENGINE))
        for route in self.under_way:
            await self._trying(route, self._go_on(route))

    async def _go_on(self, route: str) -> None:
        await self._name(route)
        await self.tick(route)

    async def _name(self, route: str) -> None:
        """Note what the versions are called once they say so."""
        mine, now = self.of(route).identity, self._versions.now(route)
        now = filled(mine, now)
        if self.of(route).phase in UNDER_WAY and now != mine:
            await self._roll(route, self.plan(route), Event("named", identity=now), ENGINE)

    async def remember(self) -> None:
        """Keep what is known of canaries under way, and what could not be kept before."""
        await self._controller.keep()
        await self._memory.remember(self.under_way)

    async def recall(self) -> None:
        """Go on where the process before ended."""
        for route, state in self._controller.state.items():
            if state.rollout.identity.announced:
                self._versions.recall(route, state.rollout.identity.announced)
        await self._memory.recall(self.under_way)

    def failing(self, route: str) -> None:
        """A canary has just been found to fail: nothing is waited for."""
        self._aside(route, self.tick(route))

    def _aside(self, route: str, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(self._trying(route, work))
        self._urgent.add(task)
        task.add_done_callback(self._urgent.discard)

    async def tick(self, route: str) -> None:
        """Tell the machine what is known, and follow it."""
        if route not in self._controller.config.routes or not self.of(route).moves:
            return
        plan, facts, now = self.plan(route), self.facts(route), self._wall()
        before = self.of(route)
        after = transition(plan, before, Event("tick", facts), now)[0]
        if before.reason == "gate" or (before.step is not None and after.step == before.step + 1):
            said = self._gate(route)
            if said is None and before.reason != "gate":
                return
            facts = replace(facts, gate=before.why if said is None else said)
            after = transition(plan, before, Event("tick", facts), now)[0]
        if after != before:
            await self._roll(route, plan, Event("tick", facts), ENGINE)

    def _gate(self, route: str) -> str | None:
        """What the gates before the next weight say; None while it is not known."""
        hooks = self._controller.config.routes[route].rollout.hooks
        moments: tuple[When, ...] = ("raise", "promotion") if self.aim(route) == WHOLE else ("raise",)
        answers = [self._hooks.gate(route, hooks, moment, self.of(route)) for moment in moments]
        if None in answers:
            return None
        return next(filter(None, answers), "")

    async def _trying(self, route: str, work: Coroutine[Any, Any, object]) -> None:
        """What cannot be kept is not done, but for what takes from a canary; it is tried again. A mistake of ours stops
        one rollout and nothing else.
        """
        try:
            await work
        except Illegal as error:
            log.warning("the rollout of %s does not begin by itself: %s", route, error)
        except (Stale, NoCanary, NoSuchRoute):
            log.info("the rollout of %s was changed by another call or the config meanwhile", route)
        except UnwritableState as error:
            if route not in self._troubled:
                log.error("the rollout of %s cannot go on, its state cannot be kept: %s", route, error)
            self._troubled.add(route)
        except NotAcknowledged as error:
            log.error("%s: %s", route, error)
        except Exception:
            log.exception("the rollout of %s could not go on", route)
        else:
            self._troubled.discard(route)


def _dry(analysis: Analysis) -> bool:
    """Whether its failing is only told."""
    return analysis.dry_run and analysis.verdict == "fail"
