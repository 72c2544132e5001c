"""The event bus: broadcasts events and never waits for a subscriber.

A subscriber that falls behind is dropped, and its stream ends.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from canaryproxy.control.results import Reload
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.state import Notice, Rollout

log = logging.getLogger("canaryproxy")

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}

# Events queued for one subscriber.
MAX_WAITING = 256

MAX_SUBSCRIBERS = 64

# Rollouts of removed routes.
Gone = Mapping[str, RolloutIdentity]

NOTHING_GONE: Gone = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """`kind` is weight, rules, canary, config, health, verdict, phase or worker; `at` is in seconds since 1970."""

    number: int
    kind: str
    at: float
    route: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


# A route -> the identity of its current rollout.
About = Callable[[str], RolloutIdentity]

# Events since the subscription; None at its end.
Queue = asyncio.Queue[PublishedEvent | None]


@dataclass(slots=True)
class Subscriber:
    """A subscriber's address, and its token's name where there are tokens. `lags`: it seems not to read."""

    address: str
    owner: str
    lags: bool = False


class EventBus:
    """Broadcasts to at most `places` subscribers. `clock` gives Unix time in seconds."""

    def __init__(self, clock: Callable[[], float], about: About | None = None, places: int = MAX_SUBSCRIBERS) -> None:
        self._clock = clock
        self._about = about
        self._places = places
        self._number = 0
        self._listeners: dict[Queue, Subscriber] = {}

    def __repr__(self) -> str:
        return f"<EventBus {self._number}, {len(self._listeners)} listeners>"

    @property
    def number(self) -> int:
        """Of the latest event."""
        return self._number

    @property
    def listeners(self) -> int:
        """Number of subscribers."""
        return len(self._listeners)

    def publish(self, kind: str, route: str = "", **detail: object) -> None:
        """Broadcast an event."""
        self._number += 1
        names = identity_fields(self._about(route)) if route and self._about is not None else {}
        event = PublishedEvent(self._number, kind, self._clock(), route, {**names, **detail})
        for queue in list(self._listeners):
            if queue.qsize() >= MAX_WAITING:
                self._dismiss(queue)
            else:
                queue.put_nowait(event)

    def subscribe(self, address: str = "", owner: str = "") -> Queue | None:
        """A queue of future events, or None at the limit. One address and one token may have half of the places each.
        At the limit a lagging subscriber is dropped, or, for another address, the oldest subscriber of the address that
        has the most.
        """
        same = [(queue, one.address == address, one.owner == owner) for queue, one in self._listeners.items()]
        mine = [queue for queue, by_address, by_owner in same if (address and by_address) or (owner and by_owner)]
        full = len(self._listeners) >= self._places
        if full or self._over_share(address, owner):
            # A subscriber that lags loses least; the dict keeps the oldest first.
            victim = next((queue for queue in (self._listeners if full else mine) if self._listeners[queue].lags), None)
            if victim is None and full and not self._over_share(address, owner):
                victim = self._longest_of_the_most(address)
            if victim is None:
                return None
            self._dismiss(victim)
            if self._over_share(address, owner):
                return None
        queue: Queue = asyncio.Queue()
        self._listeners[queue] = Subscriber(address, owner)
        return queue

    def lags(self, queue: Queue, *, lags: bool) -> None:
        """Note whether a subscriber seems not to read."""
        if queue in self._listeners:
            self._listeners[queue].lags = lags

    def _over_share(self, address: str, owner: str) -> bool:
        """Whether this address or token has its share already."""
        share = max(self._places // 2, 1)
        listeners = self._listeners.values()
        return (bool(address) and sum(one.address == address for one in listeners) >= share) or (
            bool(owner) and sum(one.owner == owner for one in listeners) >= share
        )

    def _longest_of_the_most(self, address: str) -> Queue | None:
        """The oldest subscriber of the address with the most, if that has more than `address` would have."""
        counts = Counter(one.address for one in self._listeners.values())
        found, most = counts.most_common(1)[0]
        if not address or found == address or most <= counts[address] + 1:
            return None
        return next(queue for queue, one in self._listeners.items() if one.address == found)

    def _dismiss(self, queue: Queue) -> None:
        """End a subscription."""
        del self._listeners[queue]
        queue.put_nowait(None)

    def unsubscribe(self, queue: Queue) -> None:
        """Remove a subscriber."""
        self._listeners.pop(queue, None)

    def close(self) -> None:
        """End all subscriptions."""
        for queue in self._listeners:
            queue.put_nowait(None)
        self._listeners.clear()


def identity_fields(identity: RolloutIdentity) -> dict[str, str | None]:
    """The identity of a rollout as fields; null where unknown."""
    names = {"rollout_id": identity.id, "stable_version": identity.stable, "canary_version": identity.canary}
    return {name: value or None for name, value in names.items()}


def rollout_fields(rollout: Rollout) -> dict[str, object]:
    """Where a rollout stands, and its identity, as fields. The weight is in percent."""
    fields = {"phase": rollout.phase, "reason": rollout.reason, "step": rollout.step, "weight": rollout.weight / 100}
    return {**fields, **identity_fields(rollout.identity)}


def publish_rollout(
    events: EventBus, route: str, rollout: Rollout, notice: Sequence[Notice], actor: str, generation: int
) -> None:
    """Log and publish the result of a rollout event."""
    for one in notice:
        fields = {"phase": rollout.phase, "actor": actor, "generation": generation, **identity_fields(rollout.identity)}
        _publish_notice(events, "phase", route, one, fields, **rollout_fields(rollout))


def publish_config(
    events: EventBus, heard: Mapping[str, Notice], reload: Reload, generation: int, gone: Gone = NOTHING_GONE
) -> None:
    """Log and publish the effects of an edited config. `gone` are the rollouts of removed routes."""
    notices = [*heard.items(), *((route, one) for route, notes in reload.edits.items() for one in notes)]
    for route, one in notices:
        names = identity_fields(gone[route]) if route in gone else {}
        fields = {"actor": "operator", "generation": generation, **names}
        _publish_notice(events, "config", route, one, fields, applied=True)
    for route, done in reload.begun.items():
        publish_rollout(events, route, done.rollout, done.notice, "operator", generation)


def _publish_notice(
    events: EventBus, kind: str, route: str, notice: Notice, fields: Mapping[str, object], **more: object
) -> None:
    """Log a notice with `fields`, and publish it with these and `more`."""
    log.log(LEVELS[notice.severity], "%s: %s", route, notice.words, extra={"fields": {"route": route, **fields}})
    events.publish(kind, route, **{**more, "severity": notice.severity, "sentence": notice.words, **fields})


def publish_route_change(
    events: EventBus, route: str, action: str, change: str, weight: int, actor: str, generation: int
) -> None:
    """Log and publish a change made through the API. `weight` is the route's, in basis points."""
    fields = {"action": action, "route": route, "actor": actor, "generation": generation}
    log.info("%s of %s: %s, by %s, generation %d", action, route, change, actor, generation, extra={"fields": fields})
    events.publish(action, route, weight=weight / 100, change=change, source="api", actor=actor, generation=generation)
