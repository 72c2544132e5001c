"""A canary with all of the traffic, which can only be compared with the past of stable.

Its failure rate is compared with the upper limit of stable's rate in the last ten minutes with traffic. That does not
distinguish a bad canary from a bad day, so it is no verdict: a suspicious canary is compared with stable again.
"""

from collections import deque

from canaryproxy.analysis import wording
from canaryproxy.analysis.checks.hard_limit import TIMES, HardLimitCheck
from canaryproxy.analysis.finding import SUSPICIOUS_P
from canaryproxy.analysis.spec import ErrorSpec, HardLimitSpec
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import EDetector, even_weights
from canaryproxy.analysis.stats.rate_tests import ABOVE_FLOOR, Block, log_floor
from canaryproxy.model.document import Document, items, number, whole, wholes

# Looks of stable that are kept: ten minutes with traffic.
BASELINE_LOOKS = 600

# Lower and upper limit of the rate that the canary is compared with.
LEAST, MOST = 0.001, 0.4


class StableBaseline:
    """Recent requests and failures of stable, look by look."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int]] = deque(maxlen=BASELINE_LOOKS)

    def __repr__(self) -> str:
        return f"<StableBaseline failed {self.failed} of {self.ended}>"

    def update(self, ended: int, failed: int) -> None:
        """Add a second; seconds without a request do not count."""
        if ended:
            self._looks.append((ended, failed))

    @property
    def ended(self) -> int:
        """Number of requests."""
        return sum(ended for ended, _ in self._looks)

    @property
    def failed(self) -> int:
        """Number of failed requests."""
        return sum(failed for _, failed in self._looks)

    @property
    def rate(self) -> float:
        """The failure rate; 0 without requests."""
        return self.failed / self.ended if self.ended else 0.0

    def snapshot(self) -> list[list[int]]:
        """As plain data: requests and failures of each look."""
        return [[ended, failed] for ended, failed in self._looks]

    def restore(self, data: object) -> None:
        """Continue from a snapshot. Raises `ValueError` and `TypeError`."""
        looks = [wholes(one, 2) for one in items(data)]
        self._looks = deque(((ended, failed) for ended, failed in looks), maxlen=BASELINE_LOOKS)


class Uncontrolled:
    """A period without a control."""

    def __init__(self, errors: ErrorSpec, limit: HardLimitSpec | None, stable: StableBaseline) -> None:
        highest = intervals.rate(stable.failed, stable.ended)[1] if stable.ended else errors.floor
        self._baseline = stable.rate
        self._against(min(max(errors.floor, LEAST, errors.tolerance * highest), MOST))
        self._limit = None if limit is None else HardLimitCheck(limit)
        self._ended = self._failed = 0

    def __repr__(self) -> str:
        return f"<Uncontrolled: {self._evidence!r} that it fails more than {self._bound:.2%}>"

    def update(self, ended: int, failed: int) -> None:
        """Add a second of the canary."""
        self._ended += ended
        self._failed += failed
        if ended:
            self._evidence.bet([log_floor(ended, failed, one, self._bound) for one in self._above])
        if self._limit is not None:
            self._limit.count(Block(ended, failed, TIMES * ended, TIMES * ended * self._baseline))
            self._limit.reported()

    def snapshot(self) -> Document:
        """As plain data, with the rate of stable: stable has had no traffic since."""
        return {
            "known": self._baseline,
            "bound": self._bound,
            "evidence": self._evidence.snapshot(),
            "hard_limit": None if self._limit is None else self._limit.snapshot(),
            "ended": self._ended,
            "failed": self._failed,
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._baseline, bound = number(data["known"]), number(data["bound"])
        self._against(min(max(bound, LEAST), MOST))
        self._evidence.restore(data["evidence"])
        if self._limit is not None:
            self._limit.restore(data["hard_limit"])
        self._ended, self._failed = whole(data["ended"]), whole(data["failed"])

    def _against(self, bound: float) -> None:
        """Set the rate that the canary is compared with."""
        self._bound = bound
        self._above = tuple(one for one in ABOVE_FLOOR if one * bound < 1)
        self._evidence = EDetector(even_weights(len(self._above)))

    @property
    def suspicion(self) -> str:
        """Why the canary is suspicious; empty if it is not."""
        limit = self._limit is not None and self._limit.failed
        if self._evidence.value < SUSPICIOUS_P and not limit:
            return ""
        shown = wording.evidence(self._evidence.value, SUSPICIOUS_P)
        return (
            f"canary failed {self._failed:,} of {wording.counted(self._ended, 'request')} with all of the traffic, "
            f"stable {wording.percent(self._baseline)} before, {shown}"
        )
