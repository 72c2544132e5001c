"""Clients that hold a place by moving next to nothing: they take an answer, or send a request, byte by byte.

Any movement renews the deadlines of a connection, so such a client can stay for as long as it likes. While places are
lacking, one that moves less than `MIN_BYTES_PER_SECOND` over `PERIOD_SECONDS` seconds in which it is its turn gives way
like an idle one.
"""

from typing import Protocol

PERIOD_SECONDS = 5.0
"""Seconds over which a client's rate is taken."""

MIN_BYTES_PER_SECOND = 500.0
"""Bytes a second. Apache's mod_reqtimeout asks for as many of a body."""


class ProgressingConnection(Protocol):
    """A client connection."""

    slow: object | None

    def progress_mark(self) -> tuple[object, int] | None:
        """What it is the client's turn in, the same object as long as it lasts, and the bytes it has moved; None where
        it is not its turn.
        """


class SlowClients:
    """What was seen of each when it was last judged."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[ProgressingConnection, tuple[object, int, float]] = {}

    def __repr__(self) -> str:
        return f"<SlowClients of {len(self._seen)}>"

    def check(self, connection: ProgressingConnection, now: float) -> bool:
        """Judge one whose time has come: `slow` is what it is slow in. Whether it is."""
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

    def forget(self, connection: ProgressingConnection) -> None:
        """It is gone, or it is not its turn any more."""
        if self._seen.pop(connection, None) is not None:
            connection.slow = None

    def clear(self) -> None:
        """Stop the checks for slow clients."""
        while self._seen:
            self._seen.popitem()[0].slow = None
