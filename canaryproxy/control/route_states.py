"""The state of every route, and its audit history.

A change is stored before it takes effect (`write`), unless it takes traffic from a canary: such a change takes effect
at once (`put`) and is stored afterwards, with retries (`keep`). A new config is applied even if nothing can be stored.
Changes hold the lock `writing` from reading the state until the new state is in effect; only `put` needs no lock, so
that an abort never waits for the disk.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, ParamSpec, TypeVar

from canaryproxy.config import Config
from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.control import ports
from canaryproxy.control.config_edits import differences
from canaryproxy.control.fingerprint import Fingerprint, fingerprints
from canaryproxy.control.state import Audit, RouteState, State, latch, later, reconcile, revised
from canaryproxy.rollout.state import Notice, Rollout

log = logging.getLogger("canaryproxy")

P = ParamSpec("P")
Kept = TypeVar("Kept")

TOO_NEW_TEXT = "the stored state is of a newer version"
UNREADABLE_TEXT = "the stored state could not be read"

# Audit entries that are kept in memory while the disk cannot be written.
MAX_PENDING_AUDITS = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: a token's name or another name, its role, and the client address."""

    name: str
    role: str
    address: str = ""


# The author of the config file.
OPERATOR = Actor("operator", "file")


Health = Literal["ok", "unwritable", "unreadable", "too_new", "damaged"]

# There is a stored state that could not be read.
UNREAD_HEALTH: tuple[Health, ...] = ("unreadable", "too_new")


@dataclass(frozen=True, slots=True)
class StorageHealth:
    """Whether the state can be stored and, if not, why."""

    health: Health = "ok"
    detail: str = ""


class RevisionConflictError(Exception):
    """The route has changed since the revision that the caller named."""


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """The result of applying a config to the state `before`: the new `state`, `notices` about the changes, and the
    API's `canaries` whose files have changed. It is stored, and takes effect with `RouteStates.follow`.
    """

    config: Config
    fingerprints: Mapping[str, Fingerprint]
    canaries: Mapping[str, CanaryDocument]
    before: State
    state: State
    notices: Mapping[str, Notice]


class RouteStates:
    """The state of every route. `durable`: all of it is stored. `wall_clock` gives seconds since the epoch."""

    def __init__(self, store: ports.Store, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._pending_audits: list[Audit] = []
        self._failing = False
        self._health_at_load = StorageHealth()
        self._write_error = ""
        # One thread, so that writes reach the disk in the order of the changes.
        self._thread = ThreadPoolExecutor(1, "canaryproxy-state")
        self.writing = asyncio.Lock()
        self.durable = True
        self.state: dict[str, RouteState] = {}

    def __repr__(self) -> str:
        return f"<RouteStates of {len(self.state)} routes in {self._store!r}>"

    def revision(self, route: str) -> int:
        """Changes with every change of a route that callers may depend on; 0 for an unknown route."""
        state = self.state.get(route)
        return 0 if state is None else state.revision

    def weight_of(self, route: str) -> int | None:
        """A route's weight in basis points; None for an unknown route."""
        state = self.state.get(route)
        return None if state is None else state.weight

    def next_weight_of(self, route: str) -> int | None:
        """The weight in basis points that the route's rollout aims at; None without a rollout in progress."""
        state = self.state.get(route)
        return None if state is None else state.rollout.next_weight

    @property
    def condition(self) -> StorageHealth:
        """The current storage health. Damage ends when an operator has decided on every canary it switched off."""
        if self._health_at_load.health in UNREAD_HEALTH:
            return self._health_at_load
        if self._write_error:
            return StorageHealth("unwritable", self._write_error)
        return self._health_at_load if any(one.latched for one in self.state.values()) else StorageHealth()

    async def load(self, config: Config) -> dict[str, Notice]:
        """Load the state and apply the config to it; returns the changes. A lost state turns all canaries off."""
        prints = await asyncio.to_thread(_fingerprints, config)
        kept = None
        try:
            kept = await self._in_thread(self._store.load)
            self.state = reconcile(kept or {}, config, prints, self._wall_clock())
        except ports.CorruptStateError as error:
            log.error("the state is lost, all weights are 0 until an operator sets them: %s", error)
            self.state = latch(config, prints, "the stored state was damaged")
            self._health_at_load = StorageHealth("damaged", str(error))
        except ports.TooNewStateError as error:
            log.error("state was written by a newer version; every canary is off and changes are refused: %s", error)
            self.state = self._stamped({}, latch(config, prints, TOO_NEW_TEXT), config)
            self._health_at_load = StorageHealth("too_new", str(error))
            return {}
        except ports.UnreadableStateError as error:
            log.error("the state cannot be read, all weights are 0 until an operator sets them: %s", error)
            self.state = self._stamped({}, latch(config, prints, UNREADABLE_TEXT), config)
            self._health_at_load = StorageHealth("unreadable", str(error))
            return {}
        for name, one in self.state.items():
            _warn_latched(name, one)
        self.state = self._stamped(kept or {}, self.state, config)
        changes = {} if kept is None else differences(kept, self.state)
        if self.state != kept:
            try:
                await self._save(self.state, self._audits(changes, {**(kept or {}), **self.state}, 0))
            except ports.UnwritableStateError as error:
                log.error("state cannot be written; changes are refused: %s", error)
        return changes

    async def apply_config(self, config: Config, generation: int) -> AppliedConfig:
        """The state under a new config, stored if possible: the file itself is durable. Takes effect with `follow`."""
        before = self.state
        prints, canaries = await asyncio.to_thread(_read_digests, config, before)
        state = reconcile(_renewed(before, canaries), config, prints, self._wall_clock())
        if self._health_at_load.health in UNREAD_HEALTH:
            reason = TOO_NEW_TEXT if self._health_at_load.health == "too_new" else UNREADABLE_TEXT
            lost = latch(config, prints, reason)
            state |= {name: lost[name] for name in state.keys() - before.keys()}
        state = self._stamped(before, state, config)
        notices = differences(before, state)
        if state != before:
            audits = self._audits(notices, {**before, **state}, generation)
            try:
                await self._save(state, audits)
            except ports.UnwritableStateError as error:
                self._queue_audits(audits)
                log.error("the config is applied, but the state cannot be written: %s", error)
        return AppliedConfig(config, prints, canaries, before, state, notices)

    def follow(self, changes: AppliedConfig) -> None:
        """Put an applied config into effect, rebasing what was `put` meanwhile. Compile the table without an await."""
        state = dict(changes.state)
        put = [name for name, one in self.state.items() if name in state and changes.before.get(name) is not one]
        if put:
            renewed = _renewed(self.state, changes.canaries)
            again = reconcile(renewed, changes.config, changes.fingerprints, self._wall_clock())
            state |= self._stamped(self.state, {name: again[name] for name in put}, changes.config)
            self._queue_audits([])
        self.state = state
        for name in changes.canaries:
            _warn_latched(name, self.state[name])

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Restore the state if the block, which must not await, raises. The next `keep` corrects the storage."""
        state, owed = self.state, self._pending_audits
        try:
            yield
        except BaseException:
            self.state, self._pending_audits = state, owed
            self.durable = False
            raise

    def _audits(self, changes: Mapping[str, Notice], state: Mapping[str, RouteState], generation: int) -> list[Audit]:
        notices = changes.items()
        return [self._audit(OPERATOR, "config", name, one.words, generation, state[name]) for name, one in notices]

    async def write(
        self, route: str, after: RouteState, actor: Actor, action: str, detail: str, generation: int
    ) -> RouteState:
        """Store a route's new state; returns it with its revision. Raises `UnwritableStateError`, and
        `RevisionConflictError` where the route was `put` meanwhile; the other change stays.
        """
        before = self.state.get(route)
        after = self._revised(route, after)
        await self._save({**self.state, route: after}, [self._audit(actor, action, route, detail, generation, after)])
        # An abort may have been `put` while the disk was busy: it wins.
        if self.state.get(route) is not before:
            raise RevisionConflictError(route)
        self.state = {**self.state, route: after}
        return after

    def _revised(self, route: str, after: RouteState) -> RouteState:
        """Set a new revision, unless only warnings or the versions' names of the same rollout changed."""
        before = self.state.get(route)
        same = before is not None and after != before and after == replace(before, rollout=_as(before, after))
        return after if same else replace(after, revision=later(self.revision(route), self._wall_clock()))

    def _stamped(self, before: State, after: State, config: Config) -> dict[str, RouteState]:
        """The state of all routes under a config, with new revisions where it changed."""
        now = self._wall_clock()
        return {name: revised(before.get(name), one, config.routes[name], now) for name, one in after.items()}

    def revise(self, route: str) -> None:
        """Set a new revision for a change outside the state, such as a file's content; then call `keep`."""
        self.note(route, replace(self.state[route], revision=later(self.revision(route), self._wall_clock())))

    def put(self, route: str, after: RouteState, actor: Actor, action: str, detail: str, generation: int) -> None:
        """Put a route's new state into effect; call `keep` afterwards."""
        self.state = {**self.state, route: self._revised(route, after)}
        self._queue_audits([self._audit(actor, action, route, detail, generation, after)])

    def note(self, route: str, after: RouteState) -> None:
        """Put a state without an audit entry into effect; call `keep` afterwards."""
        self.state = {**self.state, route: after}
        self._queue_audits([])

    async def keep(self) -> None:
        """Store what is in effect and not stored yet. On failure it stays in effect while the process lives, and the
        caller tries again later; failure and recovery are logged once.
        """
        try:
            if not self.durable:
                await self._save(self.state)
        except ports.UnwritableStateError as error:
            if not self._failing:
                log.error("state could not be written, retrying: %s", error)
            self._failing = True
            return
        if self._failing:
            log.info("state is written again")
        self._failing = False

    def _queue_audits(self, audits: list[Audit]) -> None:
        self.durable = False
        self._pending_audits = [*self._pending_audits, *audits][-MAX_PENDING_AUDITS:]

    async def _save(self, state: dict[str, RouteState], audits: Sequence[Audit] = ()) -> None:
        owed = self._pending_audits
        try:
            await self._in_thread(self._store.save, state, [*owed, *audits])
        except ports.UnwritableStateError as error:
            self._write_error = str(error)
            raise
        self._write_error = ""
        if self._health_at_load.health in UNREAD_HEALTH:
            self._health_at_load = StorageHealth()
        self._pending_audits = [one for one in self._pending_audits if one not in owed]
        self.durable = not self._pending_audits

    async def history(self, route: str, limit: int) -> list[Audit]:
        """The audits of a route, the newest first. Raises `UnwritableStateError` where they cannot be read."""
        return await self._in_thread(self._store.history, route, limit)

    async def remember(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Store evidence, and delete that of routes not in `keep`. Raises `UnwritableStateError`."""
        await self._in_thread(self._store.store_evidence, learnt, keep)

    async def learnt(self) -> dict[str, str]:
        """The stored evidence; empty where it cannot be read."""
        try:
            return await self._in_thread(self._store.stored_evidence)
        except ports.UnwritableStateError as error:
            log.error("stored evidence is lost; analysis restarted: %s", error)
            return {}

    async def close(self) -> None:
        """Close the storage."""
        await self._in_thread(self._store.close)

    async def _in_thread(self, what: Callable[P, Kept], *arguments: P.args, **named: P.kwargs) -> Kept:
        """Run a storage call on its own thread: the default executor may be busy with DNS lookups."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(what, *arguments, **named))

    def _audit(self, actor: Actor, action: str, route: str, detail: str, generation: int, after: RouteState) -> Audit:
        about, now = after.rollout.identity, self._wall_clock()
        audit = Audit(now, actor.name, actor.role, actor.address, action, route, detail, "kept", generation)
        return replace(audit, rollout_id=about.id, stable_version=about.stable, canary_version=about.canary)


def _as(before: RouteState, after: RouteState) -> Rollout:
    """The rollout `before` with those fields of `after` that no caller depends on."""
    was, now = before.rollout, after.rollout
    identity = now.identity if now.identity.id == was.identity.id else was.identity
    return replace(was, timeout_at=now.timeout_at, warned=now.warned, identity=identity)


def _fingerprints(config: Config) -> dict[str, Fingerprint]:
    """Fingerprints of all routes; also computes the cached `RouteConfig.digest`. Slow."""
    for route in config.routes.values():
        _ = route.digest
    return fingerprints(config)


def _read_digests(config: Config, state: State) -> tuple[dict[str, Fingerprint], dict[str, CanaryDocument]]:
    """Fingerprints by route, and the canaries set over the API whose files have changed. Blocks."""
    found = _fingerprints(config)
    of_api = {name: one.canary for name, one in state.items() if name in found and one.canary is not None}
    renewed = {name: canary.renewed() for name, canary in of_api.items()}
    return found, {name: canary for name, canary in renewed.items() if canary is not of_api[name]}


def _renewed(state: State, canaries: Mapping[str, CanaryDocument]) -> dict[str, RouteState]:
    """The state with the new content of these canaries' files."""
    return {name: replace(one, canary=canaries[name]) if name in canaries else one for name, one in state.items()}


def _warn_latched(route: str, state: RouteState) -> None:
    """Log that a canary set over the API is not valid any more."""
    canary = state.canary
    if canary is not None and canary.problem:
        so = (
            "the route has none until it is valid again"
            if canary.version is None
            else "its last valid version stays in use"
        )
        log.error("%s: the canary set through the API is no longer valid, %s: %s", route, so, canary.problem)
