"""Evidence that grows with every block of counts: mixtures of betting martingales, with and without restarts.

Each alternative (a rate three times as high, say) bets on its own; the evidence is their weighted mean. Averages of
e-values are e-values whatever the dependence between them (Vovk and Wang 2021).
"""

import math
from collections.abc import Sequence

from canaryproxy.model.document import Document, plain, plains, real, reals, whole

MAX_HORIZON = 3600
"""Looks over which about half of the later bets are spread."""

MAX_FACTOR = 1e300
"""Evidence beyond this says no more."""

_LOG_MAX_FACTOR = math.log(MAX_FACTOR)


def exp(log: float) -> float:
    """E to the power of `log`, at most `MAX_FACTOR`."""
    return MAX_FACTOR if log >= _LOG_MAX_FACTOR else math.exp(log)


def start_weight(look: int, horizon: int = MAX_HORIZON) -> float:
    """The share of the starting wealth that is bet from this look (1, 2, ...) on: half of it at once, the rest spread,
    so that what begins an hour into a healthy canary is still found in seconds (e-detectors, Shin, Ramdas and Rinaldo,
    arXiv 2203.03532).
    """
    return 0.5 * horizon / (horizon + look) ** 2 + (0.5 if look == 1 else 0.0)


class EDetector:
    """A mixture over alternatives and over moments at which the harm may have begun.

    For each alternative `M <- e * (M + start_weight)`; the evidence is the weighted sum of the M and of the wealth not
    yet bet. `weights` sum to 1.
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
        """Multiply by the block's e-values, given as logarithms for each alternative. Only a `look` brings in new
        wealth: several blocks may belong to one.
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
        """What it has come to, as plain data."""
        return {
            "looks": self._look,
            "spent": self._spent,
            "sums": plains(self._sums),
            "value": plain(self.value),
            "highest": plain(self.highest),
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._look = whole(data["looks"])
        self._spent = real(data["spent"])
        self._sums = reals(data["sums"], len(self._weights))
        self.value = real(data["value"])
        self.highest = real(data.get("highest", self.value))


class EProcess:
    """A mixture over alternatives without restarts: proof that all is well wants the long memory."""

    __slots__ = ("_logs", "_weights", "highest", "value")

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = tuple(weights)
        self._logs = [0.0] * len(self._weights)
        self.value = 1.0
        self.highest = 1.0

    def __repr__(self) -> str:
        return f"<EProcess: {self.value:.3g}>"

    def bet(self, logs: Sequence[float]) -> None:
        """Multiply by the block's e-values, given as logarithms for each alternative."""
        for number, log in enumerate(logs):
            self._logs[number] += log
        self.value = math.fsum(weight * exp(log) for weight, log in zip(self._weights, self._logs, strict=True))
        self.highest = max(self.highest, self.value)

    def snapshot(self) -> Document:
        """What it has come to, as plain data."""
        return {"logs": plains(self._logs), "value": plain(self.value), "highest": plain(self.highest)}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self._logs = reals(data["logs"], len(self._weights))
        self.value = real(data["value"])
        self.highest = real(data.get("highest", self.value))


def even_weights(count: int) -> tuple[float, ...]:
    """Equal weights."""
    return (1.0 / count,) * count


def anytime_p(highest: float) -> float:
    """A p-value that may be looked at at any time, from the highest evidence so far."""
    return min(1.0, 1.0 / highest)
