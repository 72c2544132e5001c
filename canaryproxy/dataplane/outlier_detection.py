"""Outlier detection: when an endpoint that keeps failing is ejected, and for how long. Pure; times in monotonic
seconds.

Connect errors, timeouts and resets in a row count, never what it answers: a 500 is the version's own word and
wants to be judged, not hidden. Each ejection is twice as long as the one before; an endpoint that comes back
is on probation, one more failure is enough; one success clears it. The last endpoint of a version is never
ejected: trying it beats not trying.
"""

FAILURES_TO_EJECT = 3
MIN_EJECTION_SECONDS = 5.0
MAX_EJECTION_SECONDS = 60.0


class OutlierDetector:
    """The record of one endpoint. `active`: it is ejected now."""

    __slots__ = ("_times", "_until", "active", "failures")

    def __init__(self) -> None:
        self.failures = 0
        self.active = False
        self._times = 0
        self._until = 0.0

    def __repr__(self) -> str:
        return f"<OutlierDetector {self.failures} failures{f', until {self._until:.1f}' if self.active else ''}>"

    def succeeded(self) -> None:
        """It answered."""
        self.failures = 0
        self._times = 0

    def failed(self, now: float, *, last: bool) -> bool:
        """It failed; `last`: no other endpoint of the version is left. True when it is ejected for that."""
        self.failures += 1
        if self.failures < FAILURES_TO_EJECT or self.active or last:
            return False
        self._until = now + min(MIN_EJECTION_SECONDS * 2**self._times, MAX_EJECTION_SECONDS)
        self._times += 1
        self.active = True
        return True

    def sweep(self, now: float) -> None:
        """Let it come back once its time is over."""
        if self.active and self._until <= now:
            self.active = False
            self.failures = FAILURES_TO_EJECT - 1
