"""What happens, for whoever listens: a small broadcast that never waits for anybody.

A listener that does not keep up loses its place and is told so by the end of its stream.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from canaryproxy.control.changes import Reload
from canaryproxy.rollout.identity import Identity
from canaryproxy.rollout.state import Rollout, Told

log = logging.getLogger("canaryproxy")

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}

WAITING = 256
"""Events that may wait for one listener."""

LISTENERS = 64

NONE_GONE: Mapping[str, Identity] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` of what happened is weight, rules, canary, config, health, verdict, phase or worker; `at` since 1970."""

    number: int
    kind: str
    at: float
    route: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


class Events:
    """Tells every listener what happens from now on, of a route with what it is about: `about` knows that."""

    def __init__(self) -> None:
        self.about: Callable[[str], Identity] | None = None
        self._number = 0
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def __repr__(self) -> str:
        return f"<Events {self._number}, {len(self._listeners)} listeners>"

    def tell(self, kind: str, at: float, route: str = "", **detail: object) -> None:
        """Something happened."""
        self._number += 1
        names = named(self.about(route)) if route and self.about is not None else {}
        event = Event(self._number, kind, at, route, {**names, **detail})
        for queue in list(self._listeners):
            if queue.qsize() >= WAITING:
                self._listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def listen(self) -> "asyncio.Queue[Event | None] | None":
        """A queue of what happens from now on, None at its end; or None while too many listen."""
        if len(self._listeners) >= LISTENERS:
            return None
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def leave(self, queue: "asyncio.Queue[Event | None]") -> None:
        """Listen no more."""
        self._listeners.discard(queue)

    def close(self) -> None:
        """The end, for everybody."""
        for queue in self._listeners:
            queue.put_nowait(None)
        self._listeners.clear()


def named(identity: Identity) -> dict[str, str | None]:
    """Which rollout something is about, and which versions; null for what is not known."""
    return {
        "rollout_id": identity.id or None, "stable_version": identity.stable or None,
        "canary_version": identity.canary or None,
    }  # fmt: skip


def announce(
    events: Events, at: float, route: str, rollout: Rollout, told: Sequence[Told], actor: str, generation: int
) -> None:
    """Say what came of a rollout, in the log and to whoever listens."""
    for one in told:
        names = named(rollout.identity)
        fields = {"route": route, "phase": rollout.phase, "actor": actor, "generation": generation, **names}
        log.log(LEVELS[one.severity], "%s: %s", route, one.words, extra={"fields": fields})
        events.tell(
            "phase", at, route, phase=rollout.phase, reason=rollout.reason, step=rollout.step,
            weight=rollout.weight / 100, severity=one.severity, sentence=one.words, actor=actor,
            generation=generation, **names,
        )  # fmt: skip


def configured(
    events: Events, at: float, heard: Mapping[str, Told], reload: Reload, actor: str, generation: int,
    gone: Mapping[str, Identity] = NONE_GONE,
) -> None:  # fmt: skip
    """Say what an edited config does to routes and to their rollouts. `gone` are the rollouts of routes that have left
    it.
    """
    for route, one in heard.items():
        _said(events, at, route, one, actor, generation, gone.get(route))
    for route, notes in reload.edits.items():
        for one in notes:
            _said(events, at, route, one, actor, generation)
    for route, done in reload.begun.items():
        announce(events, at, route, done.rollout, done.told, actor, generation)


def _said(
    events: Events, at: float, route: str, told: Told, actor: str, generation: int, gone: Identity | None = None
) -> None:
    """Say what an edited config does to a route, in the log and as an event."""
    names = {} if gone is None else named(gone)
    fields = {"route": route, "actor": actor, "generation": generation, **names}
    log.log(LEVELS[told.severity], "%s: %s", route, told.words, extra={"fields": fields})
    events.tell(
        "config", at, route, applied=True, severity=told.severity, sentence=told.words, actor=actor,
        generation=generation, **names,
    )  # fmt: skip


def tell_change(
    events: Events, at: float, route: str, action: str, change: str, weight: int, actor: str, generation: int
) -> None:
    """Say what was changed over the API, in the log and to whoever listens. `weight` is the route's now."""
    fields = {"action": action, "route": route, "actor": actor, "generation": generation}
    log.info("%s of %s: %s, by %s, generation %d", action, route, change, actor, generation, extra={"fields": fields})
    events.tell(
        action, at, route, weight=weight / 100, change=change, source="api", actor=actor, generation=generation
    )  # fmt: skip
