"""Another config: the file's, read again, or the same with another canary that was set over the API.

It is one transaction. What may take time or fail comes first and changes nothing that holds: the file is read, names
are resolved, edits are compared, the state is stored. Then, without waiting for anything in between, so that neither a
rollback nor a report comes half-way: the state follows, rollouts follow, judges and a table are made; if any of that
fails, everything is as it was, and the old config goes on. Only what cannot fail is left then: all take their places
and the table is published.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from canaryproxy.config import Config, ConfigError
from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.config.certificate_expiry import expiry_warnings
from canaryproxy.control import config_edits
from canaryproxy.control.canary_changes import canary_text, check_removable, difference, publish_all, publish_change
from canaryproxy.control.controller import Controller
from canaryproxy.control.events import EventBus, publish_config, publish_route_change
from canaryproxy.control.judges import Judges
from canaryproxy.control.report_intake import Intake
from canaryproxy.control.results import Changed, Reload, RolloutResult, say_refused
from canaryproxy.control.rollout_engine import RolloutEngine
from canaryproxy.control.route_states import OPERATOR, Actor, RouteStates
from canaryproxy.control.state import RouteState, State, effective, gone, reported, settled, with_canary
from canaryproxy.control.table_publisher import TablePublisher
from canaryproxy.control.topology import Topology
from canaryproxy.probes.endpoints import names, names_of
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.rollout.state import summary

log = logging.getLogger("canaryproxy")

OWN_FAULT = "canaryproxy made a mistake with it, which the log describes; the config may be right"


class Reconfiguration:
    """Makes another config hold. `load` reads the file; it may raise `ConfigError`. `reloaded`: it held up last time.
    `clock` is the clock of the deltas, `wall_clock` tells seconds since the epoch.
    """

    def __init__(
        self,
        topology: Topology,
        route_states: RouteStates,
        tables: TablePublisher,
        controller: Controller,
        judges: Judges,
        intake: Intake,
        rollouts: RolloutEngine,
        events: EventBus,
        load: Callable[[], Config] | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._started_with = topology.config.server.lasting
        self._topology = topology
        self._route_states = route_states
        self._tables = tables
        self._controller = controller
        self._judges = judges
        self._intake = intake
        self._rollouts = rollouts
        self._events = events
        self._load = load
        self._clock = clock
        self._wall_clock = wall_clock
        self._reloading = asyncio.Lock()
        self.reloaded = True

    def __repr__(self) -> str:
        return f"<Reconfiguration of {self._topology!r}>"

    async def start(self) -> Reload:
        """Recall the state, follow what was edited since, resolve names once, publish a table, and keep looking. What
        it comes to for rollouts is to be followed up once workers serve (`Rollouts.reloaded`).
        """
        heard = await self._route_states.load(self._topology.file)
        self._topology.config = effective(self._topology.file, self._route_states.state)
        reload = self._follow(config_edits.compare(None, self._topology.config), self._route_states.state)
        await self._topology.start()
        self._controller.refresh()
        publish_config(self._events, self._wall_clock(), heard, reload, OPERATOR.name, self._tables.generation)
        self._intake.follow(self._topology.config, self._judges.configure(self._topology.config, self._clock()))
        async with self._route_states.writing:
            await self._route_states.keep()
        self._topology.run()
        return reload

    async def reload(self) -> Reload:
        """Read the config again and publish what it says; returns once every worker follows, or has had its time. Calls
        are served one after another: each reads after it was made, so no change is lost. Without a file there is
        nothing to read. A rollback waits for neither the file nor its names.
        """
        if self._load is None:
            return Reload(self._tables.generation)
        certified = self._topology.config.certificates
        async with self._reloading:
            reload = await self._read(self._load)
            self.reloaded = not reload.problem
        if reload.problem:
            say_refused(reload)
        elif reload.changed:
            await self._applied(reload.generation)
        if not reload.problem and self._topology.config.certificates != certified:
            warn_of_certificates(self._topology.config, self._wall_clock())
        if reload.restart:
            log.warning("`server:` differs from what this process was started with; that part needs a restart")
        if reload.problem or reload.changed:
            self._events.publish("config", self._wall_clock(), applied=not reload.problem, generation=reload.generation)
        return reload

    async def _read(self, load: Callable[[], Config]) -> Reload:
        """An internal error keeps the old config, too: the watch of the file must be able to try the next one."""
        try:
            config = await asyncio.to_thread(load)
            await self._topology.expect(names(config.routes))
            async with self._route_states.writing:
                return await self._adopt(config)
        except ConfigError as error:
            return Reload(self._tables.generation, problem=str(error))
        except Exception:
            log.exception("the config could not be applied")
            return Reload(self._tables.generation, problem=OWN_FAULT)
        finally:
            self._topology.coming = frozenset()

    async def _applied(self, generation: int) -> None:
        """Say so once it is true everywhere."""
        try:
            await self._tables.acknowledged(generation)
            log.info("the config was applied as generation %d", generation)
        except NotAcknowledgedError as error:
            log.error("the config was published, but %s", error)

    async def _adopt(self, config: Config) -> Reload:
        """Between what the state hears and that the config holds nothing is waited for: a table is made of both."""
        restart = config.server.lasting != self._started_with
        before, was = self._topology.config, self._route_states.state
        guessed = effective(config, was)
        compared = await asyncio.to_thread(config_edits.compare, before, guessed)
        heard = await self._route_states.apply_config(config, self._tables.generation)
        generation = self._tables.generation
        with self._all_or_nothing():
            self._route_states.follow(heard)
            compared = config_edits.compare_again(
                compared, before, guessed, effective(config, self._route_states.state)
            )
            reload = self._apply_reload(config, compared, was)
        certified = not restart and self._tables.update_certificates(config)
        left = gone(was, self._route_states.state)
        publish_config(
            self._events, self._wall_clock(), heard.notices, reload, OPERATOR.name, self._tables.generation, left
        )
        publish_change(self._events, self._wall_clock(), before, self._topology.config, self._tables.generation)
        self._rollouts.reloaded(reload)
        await self._route_states.keep()
        changed = certified or self._tables.generation != generation
        return replace(reload, generation=self._tables.generation, changed=changed, restart=restart)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Config and state are either both those of the end of the block, or both as they were before."""
        file, config = self._topology.file, self._topology.config
        with self._route_states.all_or_nothing():
            try:
                yield
            except BaseException:
                self._topology.file, self._topology.config = file, config
                raise

    def _apply_reload(
        self, file: Config, compared: Mapping[str, config_edits.Edit], was: State, actor: Actor = OPERATOR
    ) -> Reload:
        """Make it the config, with the canaries of the API. Rollouts may have ended with their canaries since `was`."""
        self._topology.file = file
        config = self._topology.config = effective(file, self._route_states.state)
        turned = [name for name in compared if name in was and settled(was[name], self._route_states.state[name])]
        ended = {name: self._conclude(name, actor) for name in turned}
        reload = self._follow(compared, was, actor)
        judges = self._judges.prepared(config)
        asked = self._topology.checks(config)
        table = self._tables.compiled(self._topology, self._route_states.state, self._topology.unhealthy(asked))
        # From here on it holds: what may fail comes before.
        self._intake.follow(config, self._judges.take(judges, self._clock()))
        self._topology.health.watch(asked)
        self._tables.publish(table)
        return replace(reload, begun={**ended, **reload.begun})

    def _conclude(self, route: str, actor: Actor) -> RolloutResult:
        """A rollout has ended with its canary, or may begin with a new one: what was found goes into its record."""
        state = reported(self._route_states.state[route], self._rollouts.change(route).report)
        self._route_states.put(
            route, state, actor, "rollout", summary(state.rollout, canary_text(state)), self._tables.generation
        )
        return RolloutResult(
            state.rollout, canary_text(state), self._tables.generation, self._route_states.revision(route)
        )

    def _follow(self, compared: Mapping[str, config_edits.Edit], was: State, actor: Actor = OPERATOR) -> Reload:
        """What an edited config does to rollouts, before another canary gets anything. `was` is the state before it."""
        found: dict[str, config_edits.FollowedEdit] = {}
        generation = self._tables.generation
        for name, edit in compared.items():
            before = self._route_states.state[name]
            plan, change = partial(self._rollouts.new_plan, name), self._rollouts.change(name)
            one = config_edits.follow(before, edit, plan, self._wall_clock(), change)
            if one.words or one.changed:
                found[name] = one
            if one.words:
                action = "config" if edit.by_file else "rollout"
                self._route_states.put(name, one.state, actor, action, one.words, generation)
            elif one.state != before:
                self._route_states.note(name, one.state)
            if edit.keys and name in was and was[name].revision == self._route_states.revision(name):
                self._route_states.revise(name)
        rolled_on = {name: RolloutResult(one.state.rollout, one.turns, generation, 0) for name, one in found.items()}
        return Reload(
            generation,
            others=frozenset(
                name for name, one in found.items() if "canary" in one.changed and one.state.heard["canary"]
            ),
            begun={name: done for name, done in rolled_on.items() if done.notice},
            edits={name: one.notes for name, one in found.items() if one.notes},
            renewed=frozenset(name for name, one in found.items() if "stable" in one.changed),
        )

    async def set_canary(
        self, route: str, canary: CanaryDocument, actor: Actor, revision: int | None = None
    ) -> Changed:
        """Make it the canary, or remove the one that there is; returns when every worker follows.

        Raises what `Controller.set_weight` does, `NoCanaryError` where there is none to remove, and
        `IllegalTransitionError` while it is in use.
        """

        def change(before: RouteState) -> tuple[RouteState, str]:
            if canary.version is None:
                check_removable(route, before, self._controller.rules(route))
            words = difference(self._topology.config.routes[route].canary, canary.version)
            return with_canary(before, canary, self._wall_clock()), words

        async with self._reloading:
            try:
                await self._topology.expect(names_of(() if canary.version is None else (canary.version,)))
                async with self._route_states.writing:
                    was = self._route_states.state
                    after, detail = await self._controller.write(route, "canary", change, actor, revision)
                    reload = self._take_canary(route, was[route], after, actor)
                    changed = Changed(self._tables.generation, self._route_states.revision(route))
            finally:
                self._topology.coming = frozenset()
        now = self._wall_clock()
        publish_route_change(self._events, now, route, "canary", detail, after.weight, actor.name, changed.generation)
        publish_all(self._events, now, reload.begun, actor.name, self._tables.generation)
        self._rollouts.reloaded(reload)
        await self._controller.retry_writes()
        await self._tables.acknowledged(changed.generation)
        return changed

    def _take_canary(self, route: str, before: RouteState, after: RouteState, actor: Actor) -> Reload:
        """It is stored already; a mistake of ours takes that back, too."""
        config = effective(self._topology.file, self._route_states.state)
        edit = replace(config_edits.compared(self._topology.config.routes[route], config.routes[route]), by_file=False)
        try:
            with self._all_or_nothing():
                return self._apply_reload(self._topology.file, {route: edit}, {route: before}, actor)
        except BaseException:
            if self._route_states.state[route] is after:
                self._route_states.note(route, before)
                self._route_states.revise(route)
            raise


def warn_of_certificates(config: Config, now: float) -> None:
    """Say in the log which certificates have ended or will soon."""
    for one in expiry_warnings(config.certificates, now):
        fields = {"place": one.held.place, "file": one.held.file, "ends": one.held.ends}
        log.log(logging.ERROR if one.over else logging.WARNING, "%s", one.words, extra={"fields": fields})
