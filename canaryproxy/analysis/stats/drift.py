"""The drift of stable: whether the world has changed under it. Then nothing is raised, and nothing is blamed.

An e-detector of the CUSUM kind on the number of errors in each look (Shin, Ramdas and Rinaldo, arXiv 2203.03532): bets
that stable now fails twice as often as in the ten minutes before.
"""

import math
from collections import deque

from canaryproxy.model.document import Document, plain, real, whole, wholes

LOOKS = 600
"""Looks that make up the past."""

MIN_UPDATES = 60
"""Looks without which there is no past to compare with."""

TIMES = 2.0
SLACK = 1.2
"""The mean may be this many times as high as believed."""

ALARM = math.log(86_400)
"""One false alarm in a day of looks, or fewer."""

MIN_RATE = 0.05
"""Errors per look that are believed at least, so that a first error after quiet hours is no alarm."""


class Drift:
    """Stable's errors, look by look. `sum` is the detector's statistic."""

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
        """Errors per look believed to be normal."""
        return max(self._total / len(self._past), MIN_RATE) if self._past else MIN_RATE

    @property
    def alarmed(self) -> bool:
        """Whether stable has become worse."""
        return self.sum >= ALARM

    def look(self, errors: int) -> None:
        """The errors since the last look. While alarmed, the past stays what it was; what lasts as long as the past
        did is the new normal.
        """
        if len(self._past) >= MIN_UPDATES:
            self.sum = max(0.0, self.sum) + errors * math.log(TIMES) - SLACK * self.mean * (TIMES - 1)
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
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._past = deque(wholes(data["past"]), maxlen=LOOKS)
        self._total = sum(self._past)
        self._alarmed_for = whole(data.get("alarmed_for", 0))
        self.sum = real(data["sum"])
