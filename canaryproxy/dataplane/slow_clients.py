"""Clients that hold a slot while they move next to nothing: they read a response, or send a request, byte by byte.

Any movement renews the deadlines of a connection, so such a client could stay for as long as it likes. While slots are
scarce, a client that moves less than `MIN_BYTES_PER_SECOND` over `PERIOD_SECONDS` seconds, in which it is the client's
turn, is evicted like an idle one.
"""

from typing import Protocol

# Seconds over which a client's rate is measured.
PERIOD_SECONDS = 5.0

# Bytes per second. Apache's mod_reqtimeout requires the same of a request body.
MIN_BYTES_PER_SECOND = 500.0


class _Progressing(Protocol):
    """Documented at `EvictableConnection`. A new mark object means that something else is under way."""

    slow: object | None

    def progress_mark(self) -> tuple[object, int] | None: ...


class SlowClients:
    """The progress of each client when it was last measured."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[_Progressing, tuple[object, int, float]] = {}

    def __repr__(self) -> str:
        return f"<SlowClients of {len(self._seen)}>"

    def check(self, connection: _Progressing, now: float) -> bool:
        """Measure a client whose period is over, and set its `slow`. Returns whether it is slow."""
        turn, seen = connection.progress_mark(), self._seen.get(connection)
        if turn is None:
            if seen is not None:
                self.forget(connection)
            return False
        what, moved = turn
        if seen is None or seen[0] is not what:
            self._seen[connection] = (what, moved, now)
            connection.slow = None
        elif now - seen[2] >= PERIOD_SECONDS:
            connection.slow = what if moved - seen[1] < MIN_BYTES_PER_SECOND * (now - seen[2]) else None
            self._seen[connection] = (what, moved, now)
        return connection.slow is not None

    def forget(self, connection: _Progressing) -> None:
        """Forget a client that is gone, or has nothing to do."""
        if self._seen.pop(connection, None) is not None:
            connection.slow = None

    def clear(self) -> None:
        """Forget all clients."""
        while self._seen:
            self._seen.popitem()[0].slow = None
