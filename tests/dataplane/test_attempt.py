"""One try at one endpoint, without a network; what an exchange makes of it: test_attempts.py, test_streams.py."""

import asyncio
from collections import Counter
from typing import cast

import pytest

from canaryproxy.dataplane.attempt import Attempt
from canaryproxy.dataplane.failover import Sent
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.model.table import Endpoint, Route, Version
from canaryproxy.routing.compiled_route import build_choices
from tests.support.streams import Endpointed

SHOP = Route("shop", Version("stable", (Endpoint("s", 1),)), Version("canary", (Endpoint("c", 1),), max_in_flight=1))
STABLE, CANARY = (verdict.decisions()[0] for verdict in build_choices(SHOP, "weight"))


def pool() -> Pool:
    return Pool(Endpoint("s", 1), cast("Sockets", None))


def begun() -> Attempt:
    attempt = Attempt()
    attempt.begin(STABLE)
    return attempt


def leased() -> tuple[Attempt, Pool, Endpointed]:
    attempt, lending, stream = begun(), pool(), Endpointed()
    lending.release(stream, 1.0)
    attempt.stream = attempt.lease(lending)
    return attempt, lending, stream


def test_what_was_sent_is_known_from_the_stream() -> None:
    attempt = begun()
    assert attempt.sent() is Sent.NOTHING
    attempt, _, stream = leased()
    assert attempt.sent() is Sent.RACED
    stream.reused = False
    assert attempt.sent() is Sent.REQUEST
    stream.answered = True
    assert attempt.sent() is Sent.ANSWERED


def test_a_lease_is_counted_until_it_is_released_or_dropped() -> None:
    for reusable in (True, False):
        attempt, lending, stream = leased()
        assert lending.in_flight == 1
        assert attempt.release(reusable, False, 1.0)
        assert (lending.in_flight, attempt.pool, attempt.stream) == (0, None, None)
        assert stream.alive is reusable
        assert lending.take_idle() is (stream if reusable else None)
    attempt, lending, stream = leased()
    attempt.drop()
    attempt.drop()
    assert (lending.in_flight, stream.alive) == (0, False)


def test_a_stream_that_was_paused_reads_again_when_it_is_released() -> None:
    attempt, _, stream = leased()
    attempt.release(True, True, 1.0)
    assert stream.events == [("resume",)]


def test_surplus_bytes_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Talkative(Endpointed):
        def clean(self) -> bool:
            return False

        def surplus(self) -> int:
            return 5

    attempt, lending = begun(), pool()
    attempt.lease(lending)
    attempt.stream = Talkative()
    assert not attempt.release(True, False, 1.0)


def test_what_was_not_lent_is_not_given_back() -> None:
    with pytest.raises(RuntimeError):
        begun().release(True, False, 1.0)
    with pytest.raises(RuntimeError):
        begun().open(cast("asyncio.Protocol", None))  # type: ignore[arg-type]


def test_a_version_has_only_so_many_places() -> None:
    places: Counter[tuple[str, str]] = Counter()
    first, second = begun(), begun()
    assert first.enter(CANARY, places)
    assert not second.enter(CANARY, places)
    assert second.enter(STABLE, places)
    first.leave(places)
    first.leave(places)
    assert second.enter(CANARY, places)
    assert +places == {("shop", "canary"): 1}


def test_progress_is_seen_from_look_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Endpointed):
        left = 100

        def queued(self) -> int:
            return self.left

    attempt, stream = begun(), Slow()
    attempt.stream = stream
    assert attempt.progressed()
    assert not attempt.progressed()
    stream.left = 50
    assert attempt.progressed()
