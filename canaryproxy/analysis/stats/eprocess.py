"""Evidence that grows with every block of counts: mixtures of betting martingales, with and without restarts.

Each alternative (a rate three times as high, say) bets on its own; the evidence is their weighted mean. The mean of
e-values is an e-value, also if they depend on each other (Vovk and Wang 2021).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from canaryproxy.model.document import Document, plain, plains, real, reals, whole

# Number of looks that get about half of the wealth which is not bet at the first look: an hour of looks.
MAX_HORIZON = 3600

# Upper limit of evidence, so that a float never overflows.
MAX_FACTOR = 1e300

_LOG_MAX_FACTOR = math.log(MAX_FACTOR)


def exp(log: float) -> float:
    """`math.exp`, at most `MAX_FACTOR`."""
    return MAX_FACTOR if log >= _LOG_MAX_FACTOR else math.exp(log)


def start_weight(look: int, horizon: int = MAX_HORIZON) -> float:
    """The share of the starting wealth that is bet from this look (1, 2, ...) on. Half is bet at the first look, the
    rest is spread over later ones, so harm that begins an hour into a healthy canary is still detected in seconds
    (e-detectors: Shin, Ramdas and Rinaldo, arXiv 2203.03532).
    """
    return 0.5 * horizon / (horizon + look) ** 2 + (0.5 if look == 1 else 0.0)


class EDetector:
    """A mixture over alternatives and over the moments at which the harm may have begun.

    For each alternative `M <- e * (M + start_weight)`; the evidence is the weighted sum of the M plus the wealth that
    is not bet yet. `weights` sum to 1.
    """

    __slots__ = ("_horizon", "_look", "_spent", "_sums", "_weights", "highest", "value")

    def __init__(self, weights: Sequence[float], horizon: int = MAX_HORIZON) -> None:
        self._weights = tuple(weights)
        self._horizon = horizon
        self._sums = [0.0] * len(self._weights)
        self._look = 0
        self._spent = 0.0
        self.value = 1.0
        self.highest = 1.0

    def __repr__(self) -> str:
        return f"<EDetector: {self.value:.3g} after {self._look} looks>"

    def bet(self, logs: Sequence[float], *, look: bool = True) -> None:
        """Multiply by the e-values of a block, given as logarithms for each alternative. Only a `look` brings in new
        wealth: several blocks may belong to one look.
        """
        start = 0.0
        if look:
            self._look += 1
            start = start_weight(self._look, self._horizon)
            self._spent += start
        sums = self._sums
        for number, log in enumerate(logs):
            grown = (sums[number] + start) * exp(log)
            sums[number] = min(MAX_FACTOR, grown)
        held = math.fsum(weight * one for weight, one in zip(self._weights, sums, strict=True))
        self.value = held + (1.0 - self._spent)
        self.highest = max(self.highest, self.value)

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "looks": self._look,
            "spent": self._spent,
            "sums": plains(self._sums),
            "value": plain(self.value),
            "highest": plain(self.highest),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._look = whole(data["looks"])
        self._spent = real(data["spent"])
        self._sums = reals(data["sums"], len(self._weights))
        self.value = real(data["value"])
        self.highest = real(data.get("highest", self.value))


class EProcess:
    """A mixture over alternatives without restarts: a proof of health needs the long memory."""

    __slots__ = ("_logs", "_weights", "highest", "value")

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = tuple(weights)
        self._logs = [0.0] * len(self._weights)
        self.value = 1.0
        self.highest = 1.0

    def __repr__(self) -> str:
        return f"<EProcess: {self.value:.3g}>"

    def bet(self, logs: Sequence[float]) -> None:
        """Multiply by the e-values of a block, given as logarithms for each alternative."""
        for number, log in enumerate(logs):
            self._logs[number] += log
        self.value = math.fsum(weight * exp(log) for weight, log in zip(self._weights, self._logs, strict=True))
        self.highest = max(self.highest, self.value)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"logs": plains(self._logs), "value": plain(self.value), "highest": plain(self.highest)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        self._logs = reals(data["logs"], len(self._weights))
        self.value = real(data["value"])
        self.highest = real(data.get("highest", self.value))


def even_weights(count: int) -> tuple[float, ...]:
    """Equal weights."""
    return (1.0 / count,) * count


def anytime_p(highest: float) -> float:
    """An anytime-valid p-value, from the highest evidence so far."""
    return min(1.0, 1.0 / highest)


class Storable(Protocol):
    """A part of a check that can be stored."""

    def snapshot(self) -> Any:
        """As plain data."""

    def restore(self, data: Any, /) -> None:
        """Continue from a snapshot."""


# Parts of a check by the names that they are stored under; None for a part that is off.
Parts = Mapping[str, Storable | None]


def snapshots(parts: Parts) -> Document:
    """All parts as plain data."""
    return {name: None if part is None else part.snapshot() for name, part in parts.items()}


def restore_parts(parts: Parts, data: Document) -> None:
    """Continue from `snapshots`. Raises as `EDetector.restore` does."""
    for name, part in parts.items():
        if part is not None:
            part.restore(data[name])


class CompositeTest:
    """A test that consists of e-processes, which are stored by their names."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Mapping[str, EDetector | EProcess | None]) -> None:
        self._parts = parts

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {' and '.join(map(repr, self._parts.values()))}>"

    @property
    def value(self) -> float:
        """The evidence: that of the first part, unless a test combines several."""
        part = next(iter(self._parts.values()))
        return 1.0 if part is None else part.value

    def snapshot(self) -> Document:
        """As plain data."""
        return snapshots(self._parts)

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        restore_parts(self._parts, data)
