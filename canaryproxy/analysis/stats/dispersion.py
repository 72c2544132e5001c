"""The dispersion of stable's failures: do they come one by one, or in clumps, such as a bad second of one endpoint?

The variance of an endpoint's failures in ten seconds, divided by their mean, is 1 if they are independent. Otherwise
evidence counts endpoint-seconds, and the remaining dispersion divides it (quasi-likelihood: Wedderburn 1974).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.document import Document, mapping, plain, real, whole

# Length of a window in seconds.
WINDOW = 10

# Seconds of observation that a statement needs.
HISTORY = 3600

# Endpoints that each version needs, to distinguish a bad version from a bad machine.
ENDPOINTS = 3

# A note beside the finding. A service behind one address counts as one endpoint; a headless Service shows all.
FEW_ENDPOINTS = "stable's endpoints stall now and then: with so few endpoints a bad version looks like a bad machine"

# Dispersion from which endpoint-seconds are counted instead of requests.
CLUMPED = 1.5

# Decay of a window with each later one: its weight halves in two hours.
FORGET = 0.5 ** (1 / 720)


@dataclass(slots=True)
class Moments:
    """Decayed moments of an endpoint's counts in windows: number, sum, sum of squares; `open` is the present window."""

    windows: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    open: int = 0

    def snapshot(self) -> Document:
        """As plain data."""
        windows, total, squares = plain(self.windows), plain(self.total), plain(self.squares)
        return {"windows": windows, "total": total, "squares": squares, "open": self.open}

    @classmethod
    def restored(cls, data: Document) -> "Moments":
        """The moments of `snapshot`. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        return cls(real(data["windows"]), real(data["total"]), real(data["squares"]), whole(data.get("open", 0)))

    def close(self) -> None:
        """End the window."""
        self.windows = self.windows * FORGET + 1
        self.total = self.total * FORGET + self.open
        self.squares = self.squares * FORGET + self.open**2
        self.open = 0

    @property
    def mean(self) -> float:
        """The mean count of a window."""
        return self.total / self.windows

    @property
    def variance(self) -> float:
        """The variance between windows."""
        return max(self.squares / self.windows - self.mean**2, 0.0)


class Dispersion:
    """Failures of stable's endpoints, second by second: each failure, and seconds with a failure."""

    def __init__(self) -> None:
        self._failed: dict[str, Moments] = {}
        self._failed_seconds: dict[str, Moments] = {}
        self._window = -1
        self._first = -1
        self._last = -1
        self._before = 0

    def __repr__(self) -> str:
        return f"<Dispersion {self.of_requests:.2f} of requests, {self.of_seconds:.2f} of seconds>"

    def second(self, number: int, failed: dict[str, int]) -> None:
        """Add a second of stable: failures by endpoint, 0 for an endpoint that only succeeded."""
        if self._first < 0:
            self._first = number
        self._last = number
        if number // WINDOW != self._window:
            self._window = number // WINDOW
            for moments in (*self._failed.values(), *self._failed_seconds.values()):
                moments.close()
        for endpoint, count in failed.items():
            self._failed.setdefault(endpoint, Moments()).open += count
            self._failed_seconds.setdefault(endpoint, Moments()).open += bool(count)

    @property
    def of_requests(self) -> float:
        """The dispersion of failures, at least 1."""
        return _pooled(self._failed)

    @property
    def of_seconds(self) -> float:
        """The dispersion of endpoint-seconds with a failure, at least 1."""
        return _pooled(self._failed_seconds)

    @property
    def watched(self) -> bool:
        """Whether the observation is long enough, and has enough endpoints."""
        return self.seconds >= HISTORY and len(self._failed) >= ENDPOINTS

    @property
    def seconds(self) -> int:
        """The duration of the observation, including earlier processes."""
        return self._before + self._last - self._first

    @property
    def clumped(self) -> bool:
        """Whether failures come in clumps."""
        return self.watched and self.of_requests >= CLUMPED

    def snapshot(self) -> Document:
        """As plain data, without times: another process has another clock."""
        return {
            "seconds": self.seconds,
            "failed": _snapshots(self._failed),
            "failed_seconds": _snapshots(self._failed_seconds),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._failed, self._failed_seconds = _restored(data["failed"]), _restored(data["failed_seconds"])
        self._window = self._first = self._last = -1
        self._before = whole(data["seconds"])


def _snapshots(side: Mapping[str, Moments]) -> Document:
    return {endpoint: moments.snapshot() for endpoint, moments in side.items()}


def _restored(data: object) -> dict[str, Moments]:
    return {endpoint: Moments.restored(mapping(one)) for endpoint, one in mapping(data).items()}


def _pooled(side: dict[str, Moments]) -> float:
    known = [one for one in side.values() if one.windows > 1]
    mean = sum(one.mean for one in known)
    return max(sum(one.variance for one in known) / mean, 1.0) if mean else 1.0


class EndpointSeconds:
    """Endpoint-seconds of both versions: the requests of an endpoint in a second, and whether it failed one of them."""

    def __init__(self) -> None:
        self._open: dict[int, dict[tuple[str, str], list[int]]] = {}
        self._chosen = ""
        self._requests = 0
        self._failed = 0

    def __repr__(self) -> str:
        return f"<EndpointSeconds: {len(self._open)} seconds open>"

    def count(self, version: str, endpoint: str, second: int, ended: int, failed: int) -> None:
        """Add requests of an endpoint that began in this second."""
        one = self._open.setdefault(second, {}).setdefault((version, endpoint), [0, 0])
        one[0] += ended
        one[1] += failed

    def close(self, until: int, dispersion: Dispersion) -> list[tuple[int, Block, Block]]:
        """End the seconds up to this one. For each: its number, the block to bet on, and the block of the placebo, in
        which one endpoint of stable stands for the canary. A busy endpoint is more likely to fail one of its requests
        in a second, so a unit is weighted with the probability of that.
        """
        closed = []
        for second in sorted(second for second in self._open if second <= until):
            block = placebo = NOTHING
            stable: dict[str, int] = {}
            # Lower limits, so that the rate of a young or faultless stable is not 0.
            rate = max(self._failed, 1) / max(self._requests, 1000)
            for (version, endpoint), (ended, failed) in self._open.pop(second).items():
                if not ended:
                    continue
                unit = (1 - (1 - rate) ** ended) / rate
                bad = min(failed, 1)
                if version == "canary":
                    block += Block(unit, bad, 0, 0)
                else:
                    one = Block(0, 0, unit, bad)
                    block += one
                    self._chosen = self._chosen or endpoint
                    placebo += Block(unit, bad, 0, 0) if endpoint == self._chosen else one
                    stable[endpoint] = failed
                    self._requests += ended
                    self._failed += failed
            dispersion.second(second, stable)
            closed.append((second, block, placebo))
        return closed
