"""How much stable's failures clump: whether they come one by one, or by the bad second of one endpoint.

The variance of an endpoint's failures in ten seconds, by their mean, is 1 where they come by chance alone. Where it is
not, evidence is counted in endpoint-seconds and divided by what is left of it (quasi-likelihood: Wedderburn 1974).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.document import Document, mapping, plain, real, whole

WINDOW = 10
"""Seconds of a window."""

HISTORY = 3600
"""Seconds that must have been watched."""

ENDPOINTS = 3
"""Endpoints that each version must have, to tell a bad version from a bad machine."""

FEW_ENDPOINTS = "stable's endpoints stall now and then: with so few endpoints a bad version looks like a bad machine"
"""A service behind one address counts as one; a headless Service shows them."""

CLUMPED = 1.5
"""Dispersion from which requests are not counted one by one."""

FORGET = 0.5 ** (1 / 720)
"""Old windows count less and less: half after two hours."""


@dataclass(slots=True)
class Moments:
    """Of one endpoint's counts in windows: how many, their sum and that of their squares, the latest counting most."""

    windows: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    open: int = 0

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "windows": plain(self.windows),
            "total": plain(self.total),
            "squares": plain(self.squares),
            "open": self.open,
        }

    @classmethod
    def restored(cls, data: Document) -> "Moments":
        """What `snapshot` gave. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        return cls(
            windows=real(data["windows"]),
            total=real(data["total"]),
            squares=real(data["squares"]),
            open=whole(data.get("open", 0)),
        )

    def close(self) -> None:
        """The window is over."""
        self.windows = self.windows * FORGET + 1
        self.total = self.total * FORGET + self.open
        self.squares = self.squares * FORGET + self.open**2
        self.open = 0

    @property
    def mean(self) -> float:
        """Of a window."""
        return self.total / self.windows

    @property
    def variance(self) -> float:
        """Between windows."""
        return max(self.squares / self.windows - self.mean**2, 0.0)


@dataclass(slots=True)
class Counted:
    """Stable's failures by endpoint: each of them, and seconds that had one."""

    failed: dict[str, Moments] = field(default_factory=dict)
    seconds: dict[str, Moments] = field(default_factory=dict)


class Dispersion:
    """What stable's endpoints did, second by second."""

    def __init__(self) -> None:
        self._counted = Counted()
        self._window = -1
        self._first = -1
        self._last = -1
        self._before = 0

    def __repr__(self) -> str:
        return f"<Dispersion {self.of_requests:.2f} of requests, {self.of_seconds:.2f} of seconds>"

    def second(self, number: int, failed: dict[str, int]) -> None:
        """One second of stable: failures by endpoint, 0 for one that only succeeded."""
        if self._first < 0:
            self._first = number
        self._last = number
        if number // WINDOW != self._window:
            self._window = number // WINDOW
            for side in (self._counted.failed, self._counted.seconds):
                for moments in side.values():
                    moments.close()
        for endpoint, count in failed.items():
            self._counted.failed.setdefault(endpoint, Moments()).open += count
            self._counted.seconds.setdefault(endpoint, Moments()).open += bool(count)

    @property
    def of_requests(self) -> float:
        """Of failures counted one by one; 1 at least."""
        return _pooled(self._counted.failed)

    @property
    def of_seconds(self) -> float:
        """Of failures counted once for each endpoint and second; 1 at least."""
        return _pooled(self._counted.seconds)

    @property
    def watched(self) -> bool:
        """Whether it was looked at for long enough, and at enough endpoints, to tell."""
        return self.seconds >= HISTORY and len(self._counted.failed) >= ENDPOINTS

    @property
    def seconds(self) -> int:
        """For how long it was looked at, by processes before as well."""
        return self._before + self._last - self._first

    @property
    def clumped(self) -> bool:
        """Whether failures are seen to come in clumps."""
        return self.watched and self.of_requests >= CLUMPED

    def snapshot(self) -> Document:
        """As plain data, without times of a clock that another process does not know."""
        return {
            "seconds": self.seconds,
            "failed": _snapshots(self._counted.failed),
            "failed_seconds": _snapshots(self._counted.seconds),
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._counted = Counted(failed=_restored(data["failed"]), seconds=_restored(data["failed_seconds"]))
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
    """Endpoints of both versions in each second: how many requests they had, and whether they failed one."""

    def __init__(self) -> None:
        self._open: dict[int, dict[tuple[str, str], list[int]]] = {}
        self._chosen = ""
        self._requests = 0
        self._failed = 0

    def __repr__(self) -> str:
        return f"<EndpointSeconds: {len(self._open)} seconds open>"

    def count(self, version: str, endpoint: str, second: int, ended: int, failed: int) -> None:
        """Requests of an endpoint that began in this second."""
        one = self._open.setdefault(second, {}).setdefault((version, endpoint), [0, 0])
        one[0] += ended
        one[1] += failed

    def close(self, until: int, dispersion: Dispersion) -> list[tuple[int, Block, Block]]:
        """End the seconds up to this one: of each what there is to bet on, and a placebo, in which one of stable's own
        endpoints stands for the canary. Where endpoints have unequal traffic a busy one is likelier to fail one of its
        requests in a second: a unit counts as the chance of that.
        """
        closed = []
        for second in sorted(second for second in self._open if second <= until):
            block = placebo = NOTHING
            stable: dict[str, int] = {}
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
