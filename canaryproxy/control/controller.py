"""The single writer: what config and operators say now, what names mean, who is healthy, which generation serves.

Everything that changes traffic comes through here, one after another: it is kept, published, and only then, without
holding up the next change, waited for until every worker has acknowledged it. What a rollout takes from a canary waits
for nobody: it is published at once and kept then, tried again until the disk takes it. A new config is followed even if
it cannot be kept. A file that does not hold up changes nothing: the old config goes on serving and the reload says what
is wrong.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from canaryproxy.config import Config, ConfigError
from canaryproxy.config.canary import CanarySet
from canaryproxy.config.rules import RuleConfig, RuleSet
from canaryproxy.control import edits
from canaryproxy.control.asked import Asked
from canaryproxy.control.canaries import MOST_NAMED, NoCanary, announce_all, check_removable, difference, tell, told
from canaryproxy.control.changes import Changed, NoSuchRoute, Reload, Rolled
from canaryproxy.control.compile import Known, certificates, compile_table
from canaryproxy.control.endpoints import names, names_of
from canaryproxy.control.events import Events, announce, configured, tell_change
from canaryproxy.control.failures import Failures
from canaryproxy.control.health import Ask, Health, checks, turned_ill
from canaryproxy.control.ledger import OPERATOR, Actor, Condition, Ledger, Stale
from canaryproxy.control.resolve import Lookup, Resolver, system_lookup
from canaryproxy.control.state import (
    RouteState,
    State,
    canary_said,
    effective,
    gone,
    reported,
    rolled,
    settled,
    waits,
    weighed,
)
from canaryproxy.control.store import Store
from canaryproxy.control.workers import Traffic
from canaryproxy.model.table import Endpoint, Route, RoutingTable
from canaryproxy.rollout.machine import NOTICED, known, transition
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import Event, Illegal, Told, summary

log = logging.getLogger("canaryproxy")

Rules = tuple[RuleConfig, ...]

KEEPING = 5.0
"""Seconds for which somebody who takes from a canary waits for the disk."""


class Controller(Asked):
    """Owns the config, the state and the generation. `load` reads the config anew; it may raise `ConfigError`.

    `config` is what holds: the file's, with the canaries that were set over the API. Whoever works with it is called by
    `configured` when it is another one. `wall` tells seconds since the epoch.
    """

    def __init__(
        self,
        config: Config,
        traffic: Traffic,
        store: Store,
        load: Callable[[], Config] | None = None,
        *,
        ask: Ask,
        wall: Callable[[], float],
        lookup: Lookup = system_lookup,
        events: Events | None = None,
        workers: int = 1,
    ) -> None:
        self._started_with = config.server.lasting
        self._traffic = traffic
        self._load = load
        self._wall = wall
        self._writing = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._keeping: set[asyncio.Task[None]] = set()
        self._coming: frozenset[str] = frozenset()
        self.resolver = Resolver(lookup, lambda: names(self.config.routes) | self._coming, self._refresh, wall)
        self.health, self.failures = Health(self._ailing, ask, wall), Failures(wall)
        self._resolving: asyncio.Task[None] | None = None
        self._published: tuple[Route, ...] | None = None
        self._compiled: Known = {}
        self._workers = workers
        self._ill: frozenset[Endpoint] = frozenset()
        self._ledger = Ledger(store, wall)
        self.events = events or Events()
        self.configured: Callable[[], None] = lambda: None
        self.plan_of: Callable[[str], Plan] = lambda route: self.config.routes[route].rollout.plan(0.0)
        self.change_of: Callable[[str], Event] = lambda _: Event("changed")
        self.config = self._file = config
        self.table = RoutingTable(0, ())
        self.reloaded = True

    def __repr__(self) -> str:
        return f"<Controller generation {self.generation}, {len(self.config.routes)} routes>"

    async def start(self) -> Reload:
        """Recall the state, follow what was edited since, resolve names once, publish a table, and keep looking."""
        self._file = self.config
        heard = await self._ledger.recall(self._file)
        self.config = effective(self._file, self.state)
        reload = self._follow(edits.compare(None, self.config), self.state)
        await self.resolver.look(names(self.config.routes))
        self._refresh()
        configured(self.events, self._wall(), heard, reload, OPERATOR.name, self.generation)
        self.configured()
        async with self._writing:
            await self._ledger.keep()
        self._resolving = asyncio.get_running_loop().create_task(self.resolver.run())
        return reload

    def stop(self) -> None:
        """Look no more; what was published last goes on."""
        self.health.stop()
        self.events.close()
        if self._resolving is not None:
            self._resolving.cancel()

    async def close(self) -> None:
        """Let go of the store, once what is being written is written."""
        async with self._writing:
            await self._ledger.close()

    # What is changed.

    async def set_weight(self, route: str, weight: int, actor: Actor, revision: int | None = None) -> Changed:
        """Send `weight` basis points to the canary, and return when every worker does.

        Raises `NoSuchRoute`, `NoCanary`, `Stale` if `revision` is not the route's, `Illegal` while a rollout says what
        it is, `UnwritableState`, and `NotAcknowledged`: then it is kept and published all the same.
        """

        def change(before: RouteState) -> tuple[RouteState, str]:
            if before.plain and weight:
                raise NoCanary(route)
            if not (before.settable or before.plain):
                phase = before.rollout.phase
                raise Illegal(f"the rollout is {phase}, and says what the weight is; {known(phase)}")
            after = weighed(before, weight, self.config.routes[route].weight)
            return after, f"{before.weight / 100:g} -> {weight / 100:g}"

        return await self._change(route, "weight", change, actor, revision)

    async def set_rules(
        self, route: str, change: Callable[[Rules], Rules], actor: Actor, revision: int | None = None
    ) -> Changed:
        """Replace the rules by what `change` makes of them; otherwise like `set_weight`."""

        def changed(before: RouteState) -> tuple[RouteState, str]:
            was = self.rules(route)
            now = change(was)
            of_steps = self.config.routes[route].rollout.rule_names & {rule.name for rule in now}
            if of_steps:
                raise Illegal(f"a step of the rollout has a rule {min(of_steps)}; give this one another name")
            if before.plain and any(rule.reaches_canary for rule in now):
                raise NoCanary(route)
            listed = ", ".join(rule.name for rule in now[:MOST_NAMED])
            more = " ..." if len(now) > MOST_NAMED else ""
            return replace(before, rules=RuleSet(now)), f"{len(was)} rules -> {listed or 'none'}{more}"

        return await self._change(route, "rules", changed, actor, revision)

    async def _change(
        self, route: str, action: str, change: Callable[[RouteState], tuple[RouteState, str]], actor: Actor,
        revision: int | None,
    ) -> Changed:  # fmt: skip
        """`change` gives the route's new state and what is different, in words."""
        changed, _ = await self._written(route, action, change, actor, revision)
        await self._traffic.acknowledged(changed.generation)
        return changed

    async def _written(
        self, route: str, action: str, change: Callable[[RouteState], tuple[RouteState, str]], actor: Actor,
        revision: int | None,
    ) -> tuple[Changed, Reload]:  # fmt: skip
        """Kept and published, but not acknowledged; and what another canary has done to a rollout."""
        async with self._writing:
            before = self.state.get(route)
            if before is None:
                raise NoSuchRoute(route)
            self.expect(route, revision)
            after, detail = change(before)
            await self._ledger.write(route, after, actor, action, detail, self.generation)
            reload = Reload(self.generation)
            if after.canary is not before.canary:
                pair = self.config.routes[route], effective(self._file, self.state).routes[route]
                edit = replace(edits.compared(*pair), by_file=False)
                reload = self._take(self._file, {route: edit}, {route: before}, actor)
            self._refresh()
            changed = Changed(self.generation, self.revision(route))
        tell_change(self.events, self._wall(), route, action, detail, after.weight, actor.name, changed.generation)
        announce_all(self.events, self._wall(), reload.begun, actor.name, self.generation)
        await self._keep()
        return changed, reload

    async def set_canary(
        self, route: str, canary: CanarySet, actor: Actor, revision: int | None = None
    ) -> tuple[Changed, Reload]:  # fmt: skip
        """Make it the canary, or remove the one that there is. It is published then, and yet to be waited for.

        Raises what `set_weight` does, `NoCanary` where there is none to remove, and `Illegal` while it is in use.
        """

        def change(before: RouteState) -> tuple[RouteState, str]:
            if canary.version is None:
                check_removable(route, before, self.rules(route))
            words = difference(self.config.routes[route].canary, canary.version)
            return canary_said(before, canary, self._wall()), words

        async with self._reloading:
            await self._await_names(names_of(() if canary.version is None else (canary.version,)))
            return await self._written(route, "canary", change, actor, revision)

    async def _await_names(self, asked: frozenset[str]) -> None:
        """Resolve what is not known yet, and keep looking until it is part of the config."""
        self._coming = asked - self.resolver.answers.keys()
        if self._coming:
            await self.resolver.look(self._coming)

    def expect(self, route: str, revision: int | None) -> None:
        """Raises `Stale` if the route has another revision than the caller builds upon."""
        if revision is not None and revision != self.revision(route):
            raise Stale(route)

    async def roll(self, route: str, plan: Plan, event: Event, actor: Actor, revision: int | None = None) -> Rolled:
        """Let something happen to a route's rollout. What takes from the canary has its effect first and is kept then;
        everything else is kept first. Who has to know that every worker follows waits for `acknowledged`.

        Raises `NoSuchRoute`, `NoCanary`, `Stale` if `revision` is not the route's, `Illegal` for a verb that the phase
        does not know, and `UnwritableState`.
        """
        self.expect(route, revision)
        after, told = self._rolled(route, plan, event)
        if event.kind == "abort" and after is self.state[route] and self._writing.locked():
            after = replace(after)
        elif waits(self.state[route], after, event):
            async with self._writing:
                self.expect(route, revision)
                after, told = self._rolled(route, plan, event)
                if waits(self.state[route], after, event):
                    after = await self._ledger.write(route, after, *self._entry(after, told, event, actor))
        if after is not self.state[route]:
            self._ledger.put(route, after, *self._entry(after, told, event, actor))
        self._refresh()
        done = Rolled(after.rollout, told, self.generation, self.revision(route))
        announce(self.events, self._wall(), route, done.rollout, told, actor.name, done.generation)
        await self._keep()
        return replace(done, durable=self.durable)

    def _rolled(self, route: str, plan: Plan, event: Event) -> tuple[RouteState, tuple[Told, ...]]:
        """What an event would make of a route. Raises as `roll` does."""
        before = self.state.get(route)
        if before is None:
            raise NoSuchRoute(route)
        if before.plain and event.kind not in NOTICED:
            raise NoCanary(route)
        event = replace(
            event, reaches=bool(self.reached_by(route)), latched=bool(before.latched), waiting=before.waiting
        )
        rollout, told = transition(plan, before.rollout, event, self._wall())
        return (before, ()) if rollout == before.rollout else (
            rolled(before, rollout, event.report, self._wall()), told
        )  # fmt: skip

    def _entry(
        self, after: RouteState, told: Sequence[Told], event: Event, actor: Actor
    ) -> tuple[Actor, str, str, int]:
        action = event.kind if event.kind != "tick" else "rollout"
        words = f"{after.rollout.identity}" if event.kind == "named" else summary(after.rollout, told)
        return actor, action, words, self.generation

    async def _keep(self) -> None:
        """Keep what holds and is not kept. A disk that hangs is not waited for: what holds, holds."""
        if not self.durable:
            task = asyncio.get_running_loop().create_task(self.keep())
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
            await asyncio.wait({task}, timeout=KEEPING)

    @property
    def condition(self) -> Condition:
        """How the state is kept, and what is wrong with that."""
        return self._ledger.condition

    async def keep(self) -> None:
        """Keep what could not be kept before, if there is anything."""
        async with self._writing:
            await self._ledger.keep()

    async def acknowledged(self, generation: int) -> None:
        """Wait until every worker follows. Raises `NotAcknowledged`."""
        await self._traffic.acknowledged(generation)

    def _follow(self, compared: Mapping[str, edits.Edit], was: State, actor: Actor = OPERATOR) -> Reload:
        """What an edited config does to rollouts, before another canary gets anything. `was` is the state before it."""
        found: dict[str, edits.Followed] = {}
        for name, edit in compared.items():
            one = edits.follow(self.state[name], edit, partial(self.plan_of, name), self._wall(), self.change_of(name))
            if one.words or one.changed:
                found[name] = one
            if one.words:
                action = "config" if edit.by_file else "rollout"
                self._ledger.put(name, one.state, actor, action, one.words, self.generation)
            elif one.state != self.state[name]:
                self._ledger.note(name, one.state)
            if edit.keys and name in was and was[name].revision == self.revision(name):
                self._ledger.revise(name)
        rolled_on = {name: Rolled(one.state.rollout, one.turns, self.generation, 0) for name, one in found.items()}
        return Reload(
            self.generation,
            others=frozenset(
                name for name, one in found.items() if "canary" in one.changed and one.state.heard["canary"]
            ),
            begun={name: done for name, done in rolled_on.items() if done.told},
            edits={name: one.notes for name, one in found.items() if one.notes},
            renewed=frozenset(name for name, one in found.items() if "stable" in one.changed),
        )

    async def reload(self) -> Reload:
        """Read the config again and publish what it says. Calls are served one after another.

        Each call reads after it was made, so no change is lost. Without a file there is nothing to read. A rollback
        waits for neither the file nor its names.
        """
        async with self._reloading:
            if self._load is None:
                return Reload(self.generation)
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigError as error:
                self.reloaded = False
                return Reload(self.generation, problem=str(error))
            self.reloaded = True
            await self._await_names(names(config.routes))
            async with self._writing:
                return await self._adopt(config)

    async def _adopt(self, config: Config) -> Reload:
        """Between what the state hears and that the config holds nothing is waited for: a table is made of both."""
        restart = config.server.lasting != self._started_with
        certified = certificates(config) != certificates(self.config) and not restart
        before, was, guessed = self.config, self.state, effective(config, self.state)
        compared = await asyncio.to_thread(edits.compare, before, guessed)
        heard = await self._ledger.hear(config, self.generation)
        compared = edits.compare_again(compared, before, guessed, effective(config, self.state))
        generation = self.generation
        if certified:
            self._traffic.certify(certificates(config))
        reload = self._take(config, compared, was)
        self._refresh()
        configured(self.events, self._wall(), heard, reload, OPERATOR.name, self.generation, gone(was, self.state))
        tell(self.events, self._wall(), before, self.config, self.generation)
        await self._ledger.keep()
        changed = certified or self.generation != generation
        return replace(reload, generation=self.generation, changed=changed, restart=restart)

    def _take(self, file: Config, compared: Mapping[str, edits.Edit], was: State, actor: Actor = OPERATOR) -> Reload:
        """Make it the config, with the canaries of the API. Rollouts may have ended with their canaries since `was`."""
        self._file, self._coming = file, frozenset()
        self.config = effective(file, self.state)
        turned = [name for name in compared if name in was and settled(was[name], self.state[name])]
        ended = {name: self._settle(name, actor) for name in turned}
        reload = self._follow(compared, was, actor)
        self.configured()
        return replace(reload, begun={**ended, **reload.begun})

    def _settle(self, route: str, actor: Actor) -> Rolled:
        """A rollout has ended with its canary, or may begin with a new one: what was found goes into its record."""
        state = reported(self.state[route], self.change_of(route).report)
        self._ledger.put(route, state, actor, "rollout", summary(state.rollout, told(state)), self.generation)
        return Rolled(state.rollout, told(state), self.generation, self.revision(route))

    def _ailing(self) -> None:
        """An endpoint has changed sides."""
        self._refresh()
        turned = self._ill ^ self.health.unhealthy
        self._ill = self.health.unhealthy
        for name, sides in turned_ill(self.config, self.endpoints, turned):
            self.events.tell("health", self._wall(), name, **self.health.described(sides))

    def _refresh(self) -> None:
        """Publish the table of this moment, unless it is the one that serves already."""
        answers = self.resolver.answers
        self.health.watch(checks(self.config, answers))
        table = compile_table(
            self.config, self.generation + 1, answers, self.health.unhealthy, self.state, self._compiled,
            self._workers,
        )  # fmt: skip
        if table.routes != self._published:
            self.table = table
            self._published = table.routes
            self._traffic.publish(table)
