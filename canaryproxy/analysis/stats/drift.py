"""Drift of stable: whether its environment has changed. While it drifts, no rollout advances.

A CUSUM e-detector on the number of errors in each look (Shin, Ramdas and Rinaldo, arXiv 2203.03532), which bets that
stable fails twice as often as in the ten minutes before.
"""

import math
from collections import deque

from canaryproxy.model.document import Document, plain, real, whole, wholes

# Length of the past, in looks of a second.
LOOKS = 600

# Looks that the past needs for a comparison.
MIN_UPDATES = 60

# Factor on the mean that the detector bets on, and factor by which the mean may be underestimated.
TIMES = 2.0
SLACK = 1.2

# At most one false alarm in a day of looks.
ALARM = math.log(86_400)

# Lower limit of the mean, so that the first error after quiet hours is no alarm.
MIN_RATE = 0.05


class Drift:
    """Errors of stable, look by look. `sum` is the statistic of the detector."""

    __slots__ = ("_alarmed_for", "_past", "_total", "sum")

    def __init__(self) -> None:
        self._past: deque[int] = deque(maxlen=LOOKS)
        self._total = 0
        self._alarmed_for = 0
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"<Drift: {self.sum:.1f} of {ALARM:.1f}>"

    @property
    def mean(self) -> float:
        """Errors per look that count as normal."""
        return max(self._total / len(self._past), MIN_RATE) if self._past else MIN_RATE

    @property
    def alarmed(self) -> bool:
        """Whether stable has become worse."""
        return self.sum >= ALARM

    def look(self, errors: int) -> None:
        """Add the errors since the last look. During an alarm the past does not change; an alarm that is as long as the
        past becomes the new normal.
        """
        if len(self._past) >= MIN_UPDATES:
            self.sum = max(0.0, self.sum) + errors * math.log(TIMES) - SLACK * self.mean * (TIMES - 1)
            # A limit, so that the alarm ends soon after the drift does.
            self.sum = min(self.sum, 2 * ALARM)
        if self.alarmed:
            self._alarmed_for += 1
            if self._alarmed_for > LOOKS:
                self._forget()
        else:
            self._alarmed_for = 0
            if len(self._past) == LOOKS:
                self._total -= self._past[0]
            self._past.append(errors)
            self._total += errors

    def _forget(self) -> None:
        self._past.clear()
        self._total = self._alarmed_for = 0
        self.sum = 0.0

    def snapshot(self) -> Document:
        """As plain data."""
        return {"past": [*self._past], "alarmed_for": self._alarmed_for, "sum": plain(self.sum)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        self._past = deque(wholes(data["past"]), maxlen=LOOKS)
        self._total = sum(self._past)
        self._alarmed_for = whole(data.get("alarmed_for", 0))
        self.sum = real(data["sum"])
