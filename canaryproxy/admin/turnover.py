"""How fast the places of a listener change hands. Pure."""

SHORT_SECONDS = 0.25
"""Seconds: where all places change hands within them, to let a silent newcomer in is of no use to it."""

STRETCHES = 5
"""Of the brief time, of which one is enough to tell: the kernel's queue overflows within a tenth of a second."""

STRETCH = SHORT_SECONDS / STRETCHES
"""Seconds."""


class Turnover:
    """Counts newcomers for whom another connection had to end, or that were refused in its place."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._since = 0.0
        self._count = 0
        self._before = 0

    def __repr__(self) -> str:
        return f"<Turnover {self._before} in {STRETCH} s, of {self._places} places>"

    def add(self, now: float, count: int = 1) -> None:
        """So many more, at this time."""
        self._turn(now)
        self._count += count

    def whole(self, now: float) -> bool:
        """Whether places change hands so fast that all do within the `SHORT_SECONDS` time: in this stretch or the
        last.
        """
        self._turn(now)
        return max(self._before, self._count) * STRETCHES >= self._places

    def _turn(self, now: float) -> None:
        """Begin with a new stretch of time where the last one is over."""
        if now - self._since >= STRETCH:
            self._before = self._count if now - self._since < 2 * STRETCH else 0
            self._since, self._count = now, 0
