"""Use of a resource per request in a block of time, from metrics of the endpoints. Pure.

If a counter at an address goes backwards, either its process has restarted, or the address leads to several pods, whose
counters are read in turn. Neither can be compared, so the block has a problem instead of a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from canaryproxy.analysis.counting import side_of

Per = Literal["request", "endpoint"]


@dataclass(frozen=True, slots=True)
class CounterReading:
    """A reading of an endpoint at a time in seconds: the value, the requests sent to it so far, and the start time of
    its process (None if it is not exported).
    """

    at: float
    value: float
    requests: int
    began: float | None = None


@dataclass(frozen=True, slots=True)
class UsageBlock:
    """Use per request (or per endpoint) of both versions, and their requests per second and endpoint."""

    canary: float
    stable: float
    rates: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ReadingProblem:
    """Why a block cannot be compared. `unknown`: an endpoint did not answer."""

    text: str
    unknown: bool = False


@dataclass(slots=True)
class _Endpoint:
    first: CounterReading
    last: CounterReading
    total: float
    count: int = 1


class Usage:
    """One block. `counter`: the value only increases; otherwise it is a gauge."""

    def __init__(self, *, counter: bool, per: Per = "request") -> None:
        self._counter = counter
        self._per = per
        self._sides: tuple[dict[str, _Endpoint], dict[str, _Endpoint]] = ({}, {})
        self._copies = 0
        self._problem: ReadingProblem | None = None

    def __repr__(self) -> str:
        return f"<Usage of {', '.join(str(len(side)) for side in self._sides)} endpoints>"

    def read(self, version: str, endpoint: str, reading: CounterReading) -> None:
        """Add a reading of an endpoint."""
        known = self._sides[side_of(version)]
        one = known.get(endpoint)
        if one is None:
            known[endpoint] = _Endpoint(reading, reading, reading.value)
            return
        if self._counter and (reading.value < one.last.value or reading.began != one.last.began):
            self._problem = ReadingProblem(
                f"the counter at {endpoint} went backwards: its process restarted, or the address hides several "
                "(name a headless Service, so that each pod has an address of its own)"
            )
        one.last = reading
        one.total += reading.value
        one.count += 1

    def unread(self, endpoint: str, why: str) -> None:
        """An endpoint could not be read."""
        self._problem = ReadingProblem(f"{endpoint} cannot be read: {why}", unknown=True)

    def copied(self, count: int) -> None:
        """Set the number of mirrored requests to the canary; their endpoints are not known."""
        self._copies = count

    def next(self) -> "Usage":
        """The next block, which begins where this one ends."""
        after = Usage(counter=self._counter, per=self._per)
        for mine, theirs in zip(self._sides, after._sides, strict=True):
            theirs |= {at: _Endpoint(one.last, one.last, one.last.value) for at, one in mine.items()}
        return after

    def close(self) -> UsageBlock | ReadingProblem:
        """End the block."""
        if self._problem is not None:
            return self._problem
        found = []
        for name, side, copies in zip(("canary", "stable"), self._sides, (self._copies, 0), strict=True):
            readings = {at: one for at, one in side.items() if one.last.at > one.first.at}
            requests = copies + sum(one.last.requests - one.first.requests for one in readings.values())
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
