"""What happens, for whoever listens: a small broadcast that never waits for anybody.

A listener that does not keep up loses its place and is told so by the end of its stream.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

WAITING = 256
"""Events that may wait for one listener."""

LISTENERS = 64


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: `kind` is weight, rules, config, health, verdict or worker. `at`: seconds since the epoch."""

    number: int
    kind: str
    at: float
    route: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


class Events:
    """Tells every listener what happens from now on."""

    def __init__(self) -> None:
        self._number = 0
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def __repr__(self) -> str:
        return f"<Events {self._number}, {len(self._listeners)} listeners>"

    def tell(self, kind: str, at: float, route: str = "", **detail: object) -> None:
        """Something happened."""
        self._number += 1
        event = Event(self._number, kind, at, route, detail)
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
