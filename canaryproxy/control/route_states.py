"""What holds for each route beside the config, and the book of who said so.

A change is in the store before it holds (`write`), but for what a rollout takes from a canary: that holds at once
(`put`) and is kept then (`keep`), tried again until the disk takes it. A new config is followed even if nothing can be
kept. A change of the state holds the lock `writing` from what is read until what is made of it holds, so that
changes follow one another; only `put` needs no lock, so that an abort never waits for the disk.
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
from canaryproxy.control.fingerprint import Fingerprint, fingerprints
from canaryproxy.control.ports import (
    CorruptStateError,
    Store,
    TooNewStateError,
    UnreadableStateError,
    UnwritableStateError,
)
from canaryproxy.control.state import Audit, RouteState, State, latch, later, reconcile, revised
from canaryproxy.control.state_differences import differences
from canaryproxy.rollout.state import Notice, Rollout

log = logging.getLogger("canaryproxy")

P = ParamSpec("P")
Kept = TypeVar("Kept")

TOO_NEW_TEXT = "the kept state is of a newer version"
UNREADABLE_TEXT = "the kept state could not be read"

MAX_PENDING_AUDITS = 1000
"""Entries of the book that wait for a disk to come back."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change: the token's name (or who else), its role, and where from."""

    name: str
    role: str
    address: str = ""


OPERATOR = Actor("operator", "file")
"""The author of the config file."""


Health = Literal["ok", "unwritable", "unreadable", "too_new", "damaged"]

UNREAD_HEALTH: tuple[Health, ...] = ("unreadable", "too_new")
"""There is a state that says more of routes than is known here."""


@dataclass(frozen=True, slots=True)
class StorageHealth:
    """How the state is kept, and what is wrong with that, in words."""

    health: Health = "ok"
    detail: str = ""


class RevisionConflictError(Exception):
    """The route has changed since the revision that the caller named."""


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """What another config makes of the state `before`: `state`, `notices` in words, and the API's `canaries` whose
    files have changed. It is stored, and holds once it is followed (`RouteStates.follow`).
    """

    config: Config
    fingerprints: Mapping[str, Fingerprint]
    canaries: Mapping[str, CanaryDocument]
    before: State
    state: State
    notices: Mapping[str, Notice]


class RouteStates:
    """The state of every route. `wall_clock` tells seconds since the epoch. `durable`: all that holds is on the
    disk.
    """

    def __init__(self, store: Store, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._pending_audits: list[Audit] = []
        self._failing = False
        self._health_at_load = StorageHealth()
        self._write_error = ""
        self._thread = ThreadPoolExecutor(1, "canaryproxy-state")
        self.writing = asyncio.Lock()
        self.durable = True
        self.state: dict[str, RouteState] = {}

    def __repr__(self) -> str:
        return f"<RouteStates of {len(self.state)} routes in {self._store!r}>"

    def revision(self, route: str) -> int:
        """Another one after every change of a route that a caller may build upon; 0 where there is no such route."""
        state = self.state.get(route)
        return 0 if state is None else state.revision

    def weight_of(self, route: str) -> int | None:
        """A route's weight of now, in basis points; None if there is no such route."""
        state = self.state.get(route)
        return None if state is None else state.weight

    def next_weight_of(self, route: str) -> int | None:
        """The weight that its rollout aims at, in basis points; None where none is under way."""
        state = self.state.get(route)
        return None if state is None else state.rollout.next_weight

    @property
    def condition(self) -> StorageHealth:
        """How the state is kept now. Damage is over once every canary that it took off was decided on."""
        if self._health_at_load.health in UNREAD_HEALTH:
            return self._health_at_load
        if self._write_error:
            return StorageHealth("unwritable", self._write_error)
        return self._health_at_load if any(one.latched for one in self.state.values()) else StorageHealth()

    async def load(self, config: Config) -> dict[str, Notice]:
        """What was kept, as this config continues it, and what that changes. State that is lost never sends anyone to a
        canary.
        """
        said = await asyncio.to_thread(_fingerprints, config)
        kept = None
        try:
            kept = await self._in_thread(self._store.load)
            self.state = reconcile(kept or {}, config, said, self._wall_clock())
        except CorruptStateError as error:
            log.error("the state is lost, all weights are 0 until an operator sets them: %s", error)
            self.state = latch(config, said, "the kept state was damaged")
            self._health_at_load = StorageHealth("damaged", str(error))
        except TooNewStateError as error:
            log.error("state was written by a newer version; every canary is off and changes are refused: %s", error)
            self.state = self._stamped({}, latch(config, said, TOO_NEW_TEXT), config)
            self._health_at_load = StorageHealth("too_new", str(error))
            return {}
        except UnreadableStateError as error:
            log.error("the state cannot be read, all weights are 0 until an operator sets them: %s", error)
            self.state = self._stamped({}, latch(config, said, UNREADABLE_TEXT), config)
            self._health_at_load = StorageHealth("unreadable", str(error))
            return {}
        for name, one in self.state.items():
            _warn_latched(name, one)
        self.state = self._stamped(kept or {}, self.state, config)
        changes = {} if kept is None else differences(kept, self.state)
        if self.state != kept:
            try:
                await self._save(self.state, self._audits(changes, {**(kept or {}), **self.state}, 0))
            except UnwritableStateError as error:
                log.error("state cannot be written; changes are refused: %s", error)
        return changes

    async def apply_config(self, config: Config, generation: int) -> AppliedConfig:
        """What a new config makes of the state, stored. A config lasts by itself: it is followed even if nothing can be
        stored. Nothing holds yet (`follow`).
        """
        before = self.state
        prints, canaries = await asyncio.to_thread(_read_digests, config, before)
        state = reconcile(_renewed(before, canaries), config, prints, self._wall_clock())
        if self._health_at_load.health in UNREAD_HEALTH:
            reason = TOO_NEW_TEXT if self._health_at_load.health == "too_new" else UNREADABLE_TEXT
            lost = latch(config, prints, reason)
            state |= {name: lost[name] for name in state.keys() - before.keys()}
        state = self._stamped(before, state, config)
        said = differences(before, state)
        if state != before:
            audits = self._audits(said, {**before, **state}, generation)
            try:
                await self._save(state, audits)
            except UnwritableStateError as error:
                self._queue_audits(audits)
                log.error("the config is applied, but the state cannot be written: %s", error)
        return AppliedConfig(config, prints, canaries, before, state, said)

    def follow(self, changes: AppliedConfig) -> None:
        """It holds from now on. What was `put` while it was stored is made of this config, too: nothing may be waited
        for between that and the table that is made of it.
        """
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
        """What is done to the state within the block holds as a whole, or not at all where the block raises. Nothing
        may be waited for in it. The store may have more by then: it gets what holds with the next `keep`.
        """
        state, owed = self.state, self._pending_audits
        try:
            yield
        except BaseException:
            self.state, self._pending_audits = state, owed
            self.durable = False
            raise

    def _audits(self, changes: Mapping[str, Notice], state: Mapping[str, RouteState], generation: int) -> list[Audit]:
        return [
            self._audit(OPERATOR, "config", name, one.words, generation, state[name]) for name, one in changes.items()
        ]

    async def write(
        self, route: str, after: RouteState, actor: Actor, action: str, detail: str, generation: int
    ) -> RouteState:
        """Keep a route's new state; returns it as it holds, with its revision. Raises `UnwritableStateError`, and
        `RevisionConflictError` where something was put meanwhile: then that holds.
        """
        before = self.state.get(route)
        after = self._revised(route, after)
        await self._save({**self.state, route: after}, [self._audit(actor, action, route, detail, generation, after)])
        if self.state.get(route) is not before:
            raise RevisionConflictError(route)
        self.state = {**self.state, route: after}
        return after

    def _revised(self, route: str, after: RouteState) -> RouteState:
        """With its revision. What no caller builds upon makes no new one: when a step has taken too long, that a dry
        run has warned, and what the versions of the same rollout are called.
        """
        before = self.state.get(route)
        same = before is not None and after != before and after == replace(before, rollout=_as(before, after))
        return after if same else replace(after, revision=later(self.revision(route), self._wall_clock()))

    def _stamped(self, before: State, after: State, config: Config) -> dict[str, RouteState]:
        """What a config makes of all routes, those that it changes with a new revision."""
        now = self._wall_clock()
        return {name: revised(before.get(name), one, config.routes[name], now) for name, one in after.items()}

    def revise(self, route: str) -> None:
        """Something about the route that is not in its state is another one, such as the content of a file that its
        config names; `keep` is to follow.
        """
        self.note(route, replace(self.state[route], revision=later(self.revision(route), self._wall_clock())))

    def put(self, route: str, after: RouteState, actor: Actor, action: str, detail: str, generation: int) -> None:
        """A route's new state from now on; `keep` is to follow."""
        self.state = {**self.state, route: self._revised(route, after)}
        self._queue_audits([self._audit(actor, action, route, detail, generation, after)])

    def note(self, route: str, after: RouteState) -> None:
        """Something to know again that no one did; `keep` is to follow."""
        self.state = {**self.state, route: after}
        self._queue_audits([])

    async def keep(self) -> None:
        """Keep what holds and is not kept yet. Where that cannot be done it holds all the same, as long as the process
        lives, and this is to be called again: it says so once, and once that it is over.
        """
        try:
            if not self.durable:
                await self._save(self.state)
        except UnwritableStateError as error:
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
        except UnwritableStateError as error:
            self._write_error = str(error)
            raise
        self._write_error = ""
        if self._health_at_load.health in UNREAD_HEALTH:
            self._health_at_load = StorageHealth()
        self._pending_audits = [one for one in self._pending_audits if one not in owed]
        self.durable = not self._pending_audits

    async def history(self, route: str, limit: int) -> list[Audit]:
        """Who did what, the newest first. Raises `UnwritableStateError` where it cannot be read."""
        return await self._in_thread(self._store.history, route, limit)

    async def remember(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Keep what judges have learnt, and forget all but those to `keep`. Raises `UnwritableStateError`."""
        await self._in_thread(self._store.store_evidence, learnt, keep)

    async def learnt(self) -> dict[str, str]:
        """What judges had learnt; nothing where it cannot be read."""
        try:
            return await self._in_thread(self._store.stored_evidence)
        except UnwritableStateError as error:
            log.error("stored evidence is lost; analysis restarted: %s", error)
            return {}

    async def close(self) -> None:
        """Let go of the store."""
        await self._in_thread(self._store.close)

    async def _in_thread(self, what: Callable[P, Kept], *arguments: P.args, **named: P.kwargs) -> Kept:
        """Do something with the store on its own thread. The others may all wait for names that are not resolved."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(what, *arguments, **named))

    def _audit(self, actor: Actor, action: str, route: str, detail: str, generation: int, after: RouteState) -> Audit:
        about = after.rollout.identity
        return Audit(
            self._wall_clock(),
            actor.name,
            actor.role,
            actor.address,
            action,
            route,
            detail,
            "kept",
            generation,
            about.id,
            about.stable,
            about.canary,
        )


def _as(before: RouteState, after: RouteState) -> Rollout:
    """A rollout with what no caller builds upon as it is now."""
    was, now = before.rollout, after.rollout
    identity = now.identity if now.identity.id == was.identity.id else was.identity
    return replace(was, timeout_at=now.timeout_at, warned=now.warned, identity=identity)


def _fingerprints(config: Config) -> dict[str, Fingerprint]:
    """Of every route; digests of all else are made ready, too. Takes its time."""
    for route in config.routes.values():
        _ = route.digest
    return fingerprints(config)


def _read_digests(config: Config, state: State) -> tuple[dict[str, Fingerprint], dict[str, CanaryDocument]]:
    """Fingerprints by route, and the canaries set over the API whose files have changed. Blocks."""
    found = _fingerprints(config)
    said = {name: one.canary for name, one in state.items() if name in found and one.canary is not None}
    renewed = {name: canary.renewed() for name, canary in said.items()}
    return found, {name: canary for name, canary in renewed.items() if canary is not said[name]}


def _renewed(state: State, canaries: Mapping[str, CanaryDocument]) -> dict[str, RouteState]:
    """With what the files of these canaries hold now."""
    return {name: replace(one, canary=canaries[name]) if name in canaries else one for name, one in state.items()}


def _warn_latched(route: str, state: RouteState) -> None:
    """A canary that was set over the API and cannot be used as it was kept."""
    canary = state.canary
    if canary is not None and canary.problem:
        so = "there is none until that holds up again" if canary.version is None else "it goes on as it was read last"
        log.error("%s: the canary set through the API is no longer valid, %s: %s", route, so, canary.problem)
