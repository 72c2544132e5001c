"""Applies another config: the file's, read again, or the same with another canary set over the API.

A config is applied in one transaction. Slow or failing steps come first and change nothing: the file is read, names are
resolved, edits are compared, the state is stored. The rest runs without awaiting anything, so that no rollback and no
report comes in between: state and rollouts follow, judges and a table are made; if any of that fails, everything is
restored and the old config stays. Only steps that cannot fail are left then: the judges are put in place and the table
is published.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from canaryproxy.config import Config, ConfigError
from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.config.certificate_expiry import expiry_warnings
from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.control.config_edits import Edit, FollowedEdit, compare, compare_again, compared, follow
from canaryproxy.control.controller import MAX_NAMED, Controller, Described
from canaryproxy.control.events import EventBus, publish_config, publish_rollout, publish_route_change
from canaryproxy.control.judges import Judges
from canaryproxy.control.report_intake import Intake
from canaryproxy.control.results import Changed, NoCanaryError, Reload, RolloutResult, say_refused
from canaryproxy.control.rollout_engine import RolloutEngine
from canaryproxy.control.route_states import OPERATOR, Actor, RouteStates
from canaryproxy.control.state import RouteState, State, effective, gone, reported, settled, with_canary
from canaryproxy.control.table_publisher import TablePublisher
from canaryproxy.control.topology import Topology
from canaryproxy.probes.endpoints import names, names_of, which
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.rollout.state import IllegalTransitionError, Notice, summary

log = logging.getLogger("canaryproxy")

OWN_FAULT = "internal error, see the log; the config may be valid"


@dataclass(eq=False)
class Reconfiguration:
    """Applies another config. `load` reads the file; it may raise `ConfigError`. `reloaded`: the last reload succeeded.
    `clock` is the clock of the deltas, `wall_clock` gives seconds since the epoch.
    """

    _topology: Topology
    _states: RouteStates
    _tables: TablePublisher
    _controller: Controller
    _judges: Judges
    _intake: Intake
    _rollouts: RolloutEngine
    _events: EventBus
    _load: Callable[[], Config] | None
    _clock: Callable[[], float]
    _wall_clock: Callable[[], float]
    _reloading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    reloaded: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._started_with = self._topology.config.server.lasting

    def __repr__(self) -> str:
        return f"<Reconfiguration of {self._topology!r}>"

    async def start(self) -> Reload:
        """Load the state, apply edits made meanwhile, and publish. Pass the result to `RolloutEngine.reloaded`."""
        notices = await self._states.load(self._topology.file)
        self._topology.config = effective(self._topology.file, self._states.state)
        reload = self._follow(compare(None, self._topology.config), self._states.state)
        await self._topology.start()
        self._controller.refresh()
        publish_config(self._events, notices, reload, self._tables.generation)
        self._intake.follow(self._topology.config, self._judges.configure(self._topology.config, self._clock()))
        async with self._states.writing:
            await self._states.keep()
        self._topology.run()
        return reload

    async def reload(self) -> Reload:
        """Read the config again and apply it; returns once every worker uses it, or after a timeout. Calls are
        serialised and each reads the file after it was made, so no change is lost. Without a file nothing happens. A
        rollback waits neither for the file nor for DNS.
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
            self._events.publish("config", applied=not reload.problem, generation=reload.generation)
        return reload

    async def _read(self, load: Callable[[], Config]) -> Reload:
        """An internal error keeps the old config, too: the next version of the file must be tried."""
        try:
            config = await asyncio.to_thread(load)
            await self._topology.expect(names(config.routes))
            async with self._states.writing:
                return await self._adopt(config)
        except ConfigError as error:
            return Reload(self._tables.generation, problem=str(error))
        except Exception:
            log.exception("the config could not be applied")
            return Reload(self._tables.generation, problem=OWN_FAULT)
        finally:
            self._topology.coming = frozenset()

    async def _applied(self, generation: int) -> None:
        """Log the reload once every worker uses it."""
        try:
            await self._tables.acknowledged(generation)
            log.info("the config was applied as generation %d", generation)
        except NotAcknowledgedError as error:
            log.error("the config was published, but %s", error)

    async def _adopt(self, config: Config) -> Reload:
        """Apply a config. Nothing is awaited between `follow` and the table, which is made of the same state."""
        restart = config.server.lasting != self._started_with
        before, was = self._topology.config, self._states.state
        guessed = effective(config, was)
        edits = await asyncio.to_thread(compare, before, guessed)
        applied = await self._states.apply_config(config, self._tables.generation)
        generation = self._tables.generation
        with self._all_or_nothing():
            self._states.follow(applied)
            edits = compare_again(edits, before, guessed, effective(config, self._states.state))
            reload = self._apply_reload(config, edits, was)
        certified = not restart and self._tables.update_certificates(config)
        await self._states.keep()
        try:
            publish_config(
                self._events, applied.notices, reload, self._tables.generation, gone(was, self._states.state)
            )
            publish_change(self._events, before, self._topology.config, self._tables.generation)
            self._rollouts.reloaded(reload)
        except Exception:
            # The table serves already: the config is applied, whatever happens to what is said of it.
            log.exception("the config was applied as generation %d, but not reported", self._tables.generation)
        changed = certified or self._tables.generation != generation
        return replace(reload, generation=self._tables.generation, changed=changed, restart=restart)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Restore config and state if the block raises."""
        file, config = self._topology.file, self._topology.config
        with self._states.all_or_nothing():
            try:
                yield
            except BaseException:
                self._topology.file, self._topology.config = file, config
                raise

    def _apply_reload(self, file: Config, edits: Mapping[str, Edit], was: State, actor: Actor = OPERATOR) -> Reload:
        """Apply a config, with the canaries of the API. Rollouts may have ended with their canaries since `was`."""
        self._topology.file = file
        config = self._topology.config = effective(file, self._states.state)
        turned = [name for name in edits if name in was and settled(was[name], self._states.state[name])]
        ended = {name: self._conclude(name, actor) for name in turned}
        reload = self._follow(edits, was, actor)
        judges = self._judges.prepared(config)
        asked = self._topology.checks(config)
        table = self._tables.compiled(self._topology, self._states.state, self._topology.unhealthy(asked))
        # From here on it holds: what may fail comes before.
        self._intake.follow(config, self._judges.take(judges, self._clock()))
        self._topology.health.watch(asked)
        self._tables.publish(table)
        return replace(reload, begun={**ended, **reload.begun})

    def _conclude(self, route: str, actor: Actor) -> RolloutResult:
        """Record the result of a rollout that ended with its canary, or that may begin with a new one."""
        state = reported(self._states.state[route], self._rollouts.change(route).report)
        notice, generation = canary_text(state), self._tables.generation
        self._states.put(route, state, actor, "rollout", summary(state.rollout, notice), generation)
        return RolloutResult(state.rollout, notice, generation, self._states.revision(route))

    def _follow(self, edits: Mapping[str, Edit], was: State, actor: Actor = OPERATOR) -> Reload:
        """Apply edits to rollouts, before another canary gets traffic. `was` is the state before the config."""
        found: dict[str, FollowedEdit] = {}
        generation = self._tables.generation
        for name, edit in edits.items():
            before = self._states.state[name]
            plan, change = partial(self._rollouts.new_plan, name), self._rollouts.change(name)
            one = follow(before, edit, plan, self._wall_clock(), change)
            if one.words or one.changed:
                found[name] = one
            if one.words:
                action = "config" if edit.by_file else "rollout"
                self._states.put(name, one.state, actor, action, one.words, generation)
            elif one.state != before:
                self._states.note(name, one.state)
            if edit.keys and name in was and was[name].revision == self._states.revision(name):
                self._states.revise(name)
        rolled_on = {name: RolloutResult(one.state.rollout, one.turns, generation, 0) for name, one in found.items()}
        others = (name for name, one in found.items() if "canary" in one.changed and one.state.heard["canary"])
        renewed = frozenset(name for name, one in found.items() if "stable" in one.changed)
        begun = {name: done for name, done in rolled_on.items() if done.notice}
        notes = {name: one.notes for name, one in found.items() if one.notes}
        return Reload(generation, others=frozenset(others), begun=begun, edits=notes, renewed=renewed)

    async def set_canary(self, route: str, canary: CanaryDocument, by: Actor, revision: int | None = None) -> Changed:
        """Set or remove the canary; returns when every worker follows.

        Raises what `Controller.set_weight` does, `NoCanaryError` where there is none to remove, and
        `IllegalTransitionError` while it is in use.
        """

        def change(before: RouteState) -> Described:
            if canary.version is None:
                check_removable(route, before, self._controller.rules(route))
            words = difference(self._topology.config.routes[route].canary, canary.version)
            return with_canary(before, canary, self._wall_clock()), words

        async with self._reloading:
            try:
                await self._topology.expect(names_of(() if canary.version is None else (canary.version,)))
                async with self._states.writing:
                    was = self._states.state
                    after, detail = await self._controller.write(route, "canary", change, by, revision)
                    reload = self._take_canary(route, was[route], after, by)
                    changed = Changed(self._tables.generation, self._states.revision(route))
            finally:
                self._topology.coming = frozenset()
        publish_route_change(self._events, route, "canary", detail, after.weight, by.name, changed.generation)
        for name, done in reload.begun.items():
            publish_rollout(self._events, name, done.rollout, done.notice, by.name, self._tables.generation)
        await self._controller.retry_writes()
        self._rollouts.reloaded(reload)
        await self._tables.acknowledged(changed.generation)
        return changed

    def _take_canary(self, route: str, before: RouteState, after: RouteState, actor: Actor) -> Reload:
        """Apply a canary that is already stored. An internal error restores the state."""
        config = effective(self._topology.file, self._states.state)
        edit = replace(compared(self._topology.config.routes[route], config.routes[route]), by_file=False)
        try:
            with self._all_or_nothing():
                return self._apply_reload(self._topology.file, {route: edit}, {route: before}, actor)
        except BaseException:
            if self._states.state[route] is after:
                self._states.note(route, before)
                self._states.revise(route)
            raise


def warn_of_certificates(config: Config, now: float) -> None:
    """Log which certificates have expired or expire soon."""
    for one in expiry_warnings(config.certificates, now):
        fields = {"place": one.held.place, "file": one.held.file, "ends": one.held.ends}
        log.log(logging.ERROR if one.over else logging.WARNING, "%s", one.words, extra={"fields": fields})


def check_removable(route: str, state: RouteState, rules: Sequence[RuleConfig]) -> None:
    """Check that nothing is sent to the canary. Raises `NoCanaryError` and `IllegalTransitionError`."""
    if state.plain:
        raise NoCanaryError(route)
    if state.rollout.moves:
        raise IllegalTransitionError(f"the rollout is {state.rollout.phase}; abort it before the canary is removed")
    if state.weight:
        first = "reset the rollout" if state.rollout.phase == "succeeded" else "set its weight to 0"
        raise IllegalTransitionError(f"the canary gets {state.weight / 100:g} %; {first} before it is removed")
    names = [rule.name for rule in rules if rule.reaches_canary]
    if names:
        raise IllegalTransitionError(f"rules reach the canary, remove them first: {', '.join(names[:MAX_NAMED])}")


def canary_text(state: RouteState) -> tuple[Notice, ...]:
    """The notice for a rollout that ended with its canary, or may begin with a new one."""
    if state.rollout.phase == "rolled_back":
        return (Notice("warning", f"the rollout has ended, all traffic goes to stable: {state.rollout.why}"),)
    words = "the canary was removed after its rollout" if state.plain else "a canary again; a rollout may begin"
    return (Notice("info", words),)


def difference(before: VersionConfig | None, after: VersionConfig | None) -> str:
    """The old and the new canary as text: URLs and version, or that other settings differ."""
    was, now = _shown(before), _shown(after)
    if was != now:
        return f"{was} -> {now}"
    return f"{now}, as it was" if before == after else f"{now}, with other settings"


def _shown(canary: VersionConfig | None) -> str:
    if canary is None:
        return "none"
    where = " ".join(map(str, canary.origins))
    return f"{where} ({canary.version})" if canary.version else where


def publish_change(events: EventBus, before: Config, after: Config, generation: int) -> None:
    """Log and publish which canaries the config has added, removed or replaced."""
    for name in before.routes.keys() & after.routes.keys():
        was, now = before.routes[name].canary, after.routes[name].canary
        if which(was) == which(now):
            continue
        words, fields = difference(was, now), {"action": "canary", "route": name, "generation": generation}
        log.info("canary of %s: %s, by the config, generation %d", name, words, generation, extra={"fields": fields})
        events.publish("canary", name, change=words, source="file", actor="operator", generation=generation)
