"""What versions use for each request, block by block, from what their endpoints tell of themselves. Pure.

A counter that goes backwards at one address was either restarted or belongs to another process than before: an address
that hides several pods shows a counter of one and then of another. Neither can be compared, so the block says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from canaryproxy.analysis.counting import CANARY, STABLE, side_of

Per = Literal["request", "endpoint"]


@dataclass(frozen=True, slots=True)
class CounterReading:
    """What an endpoint said at a time in seconds: the value, the requests it had been sent by then, and when its
    process began, by its own account (None if it does not say).
    """

    at: float
    value: float
    requests: int
    began: float | None = None


@dataclass(frozen=True, slots=True)
class UsageBlock:
    """Use per request of both versions (or by endpoint), and their requests per second and endpoint."""

    canary: float
    stable: float
    rates: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ReadingProblem:
    """Why a block cannot be compared. `unknown`: a source did not answer."""

    text: str
    unknown: bool = False


@dataclass(slots=True)
class _Endpoint:
    first: CounterReading
    last: CounterReading
    total: float
    count: int = 1


@dataclass(slots=True)
class _Side:
    endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    copies: int = 0


class Usage:
    """One block. `counter`: the value only ever grows; else it is one of the moment. `copies` are requests of a mirror,
    which no endpoint is known for.
    """

    def __init__(self, *, counter: bool, per: Per = "request") -> None:
        self._counter = counter
        self._per = per
        self._sides = (_Side(), _Side())
        self._trouble: ReadingProblem | None = None

    def __repr__(self) -> str:
        return f"<Usage of {', '.join(str(len(side.endpoints)) for side in self._sides)} endpoints>"

    def read(self, version: str, endpoint: str, reading: CounterReading) -> None:
        """An endpoint was read."""
        known = self._sides[side_of(version)].endpoints
        one = known.get(endpoint)
        if one is None:
            known[endpoint] = _Endpoint(reading, reading, reading.value)
            return
        if self._counter and (reading.value < one.last.value or reading.began != one.last.began):
            self._trouble = ReadingProblem(
                f"the counter at {endpoint} went backwards: its process restarted, or the address hides several "
                "(name a headless Service, so that each pod has an address of its own)"
            )
        one.last = reading
        one.total += reading.value
        one.count += 1

    def unread(self, endpoint: str, why: str) -> None:
        """An endpoint did not tell."""
        self._trouble = ReadingProblem(f"{endpoint} cannot be read: {why}", unknown=True)

    def copied(self, count: int) -> None:
        """The canary was sent so many copies in all."""
        self._sides[CANARY].copies = count

    def next(self) -> "Usage":
        """The block that begins where this one ends."""
        after = Usage(counter=self._counter, per=self._per)
        for mine, theirs in zip(self._sides, after._sides, strict=True):
            theirs.endpoints = {at: _Endpoint(one.last, one.last, one.last.value) for at, one in mine.endpoints.items()}
        return after

    def close(self) -> UsageBlock | ReadingProblem:
        """The block is over."""
        if self._trouble is not None:
            return self._trouble
        found = []
        for name, side in (("canary", self._sides[CANARY]), ("stable", self._sides[STABLE])):
            readings = {at: one for at, one in side.endpoints.items() if one.last.at > one.first.at}
            requests = side.copies + sum(one.last.requests - one.first.requests for one in readings.values())
            if not readings or not requests:
                return ReadingProblem(
                    f"{name} had no {'requests' if readings else 'endpoint that could be read'} in a whole block"
                )
            found.append((self._used(readings, requests), requests / sum(_seconds(one) for one in readings.values())))
        (canary, busy), (stable, calm) = found
        return UsageBlock(canary, stable, (busy, calm))

    def _used(self, readings: Mapping[str, _Endpoint], requests: int) -> float:
        if self._counter:
            return sum(one.last.value - one.first.value for one in readings.values()) / requests
        level = sum(one.total / one.count for one in readings.values())
        if self._per == "endpoint":
            return level / len(readings)
        seconds = sum(map(_seconds, readings.values())) / len(readings)
        return level / (requests / seconds)


def _seconds(one: _Endpoint) -> float:
    return one.last.at - one.first.at
