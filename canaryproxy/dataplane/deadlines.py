"""How long a version may take in one exchange, and how long it took. Pure; times in seconds of one monotonic clock.

The client has a deadline of its own (`ClientConnection.rearm`). The exchange decides which of the two runs; a table of
all states and deadlines is in docs/life-of-a-request.md.
"""

import math

NEVER = math.inf


class Deadlines:
    """`at` is when the version's time is over, NEVER while it is not its turn; `started` is when the request arrived,
    `tried` when the current attempt began. `excluded` is the part of the attempt that is not the version's time:
    opening the connection, and a client that did not read. `opening` is the time spent on opening connections;
    `paused_at` is when the client stopped reading, 0 while it reads.
    """

    at: float
    excluded: float
    opening: float
    paused_at: float
    started: float
    tried: float

    def begin(self, now: float) -> None:
        """The request has arrived. Not `__init__`, which would take Python objects in compiled code."""
        self.at = NEVER
        self.started = self.tried = now
        self.excluded = self.opening = self.paused_at = 0.0

    def __repr__(self) -> str:
        return f"<Deadlines at {self.at:g}, tried at {self.tried:g}>"

    def try_again(self, now: float) -> None:
        """Another attempt begins, with the full time."""
        self.tried = now
        self.excluded = self.paused_at = 0.0

    def opened(self, now: float) -> float:
        """The attempt has its connection; returns the seconds that took."""
        opening = now - self.tried
        self.excluded += opening
        self.opening += opening
        return opening

    def pause(self, now: float) -> None:
        """The client does not read, so the version's time is stopped."""
        self.paused_at = now
        self.at = NEVER

    def resume(self, now: float) -> None:
        """The client reads again."""
        self.excluded += now - self.paused_at
        self.paused_at = 0.0

    def latency(self, now: float) -> float:
        """The version's own time in this attempt."""
        return now - self.tried - self.excluded

    def undisturbed(self) -> bool:
        """Whether all the time since the request arrived is the version's own."""
        return self.tried == self.started and not self.excluded
