"""How long a version may take in one exchange, and how long it took. Pure; times in seconds of one monotonic clock.

The client has a clock of its own (`ClientConnection.rearm`). Which of the two runs is said by the exchange
(`Exchange`), in docs/life-of-a-request.md as a table of all states with all clocks.
"""

import math

NEVER = math.inf


class Deadlines:
    """`at` is when the version's time is over, NEVER while it is not its turn; `started` is when the request was here,
    `tried` when the attempt under way began. `excluded` is the part of the attempt that was not the version's time: the
    opening of its connection, and a client that did not read. `opening` is what all connections took to open, and
    `paused_at` when the client ceased to read, 0 while it reads.
    """

    __slots__ = ("at", "excluded", "opening", "paused_at", "started", "tried")

    at: float
    excluded: float
    opening: float
    paused_at: float
    started: float
    tried: float

    def begin(self, now: float) -> None:
        """The request is here, and the first attempt begins. In place of `__init__`, so that compiled code needs no
        arguments as Python objects.
        """
        self.at = NEVER
        self.started = self.tried = now
        self.excluded = self.opening = self.paused_at = 0.0

    def __repr__(self) -> str:
        return f"<Deadlines at {self.at:g}, tried at {self.tried:g}>"

    def try_again(self, now: float) -> None:
        """Another attempt begins, with all the time that one has."""
        self.tried = now
        self.excluded = self.paused_at = 0.0

    def opened(self, now: float) -> float:
        """The attempt has its connection; seconds that took."""
        opening = now - self.tried
        self.excluded += opening
        self.opening += opening
        return opening

    def pause(self, now: float) -> None:
        """The client does not read: it cannot be answered, so the version's time stands still."""
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
        """Whether all the time since the request was here is the version's own."""
        return self.tried == self.started and not self.excluded
