"""Outlier detection: when an endpoint that keeps failing is ejected, and for how long. Pure; times in monotonic
seconds.

Connect errors, timeouts and resets in a row count, never responses: a 500 is the version's own behaviour, to be judged
and not hidden. Each ejection is twice as long as the one before. An endpoint that comes back is on probation: one more
failure ejects it, one success clears its record. The last endpoint of a version is never ejected: trying it is better
than not trying.
"""

# Failures in a row: one or two may be a restart or a lost keep-alive race.
FAILURES_TO_EJECT = 3
MIN_EJECTION_SECONDS = 5.0
# The first ejection is short, since most outages are restarts; the last is short enough to notice a repair.
MAX_EJECTION_SECONDS = 60.0


class OutlierDetector:
    """The record of one endpoint. `active`: it is ejected now."""

    def __init__(self) -> None:
        self.failures = 0
        self.active = False
        self._times = 0
        self._until = 0.0

    def __repr__(self) -> str:
        return f"<OutlierDetector {self.failures} failures{f', until {self._until:.1f}' if self.active else ''}>"

    def succeeded(self) -> None:
        """The endpoint has answered."""
        self.failures = 0
        self._times = 0

    def failed(self, now: float, *, last: bool) -> bool:
        """The endpoint has failed; `last`: the version has no other endpoint. Returns whether that ejects it."""
        self.failures += 1
        if self.failures < FAILURES_TO_EJECT or self.active or last:
            return False
        self._until = now + min(MIN_EJECTION_SECONDS * 2**self._times, MAX_EJECTION_SECONDS)
        self._times += 1
        self.active = True
        return True

    def sweep(self, now: float) -> None:
        """End the ejection when its time is over."""
        if self.active and self._until <= now:
            self.active = False
            self.failures = FAILURES_TO_EJECT - 1  # on probation: one more failure ejects it
