"""What connections share: pools, budgets, patience, and how late a deadline may be met."""

import asyncio
import math
import random
from collections.abc import Iterator

import pytest

from canaryproxy.model.decision import Decision, Verdict
from canaryproxy.model.failure import Failure
from canaryproxy.model.safety import Shield
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, Route, Version
from canaryproxy.proxy.shared import SWEEP, Shared

STABLE = Version("stable", (Endpoint("192.0.2.1", 1), Endpoint("192.0.2.1", 2)))
NOBODY = Version("canary", ())


class Clock:
    """Time that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.fixture
def shared() -> Iterator[Shared]:
    loop = asyncio.new_event_loop()
    made = Shared(PlaneSettings(), loop, "canaryproxy-test", Clock(), Clock(), random.Random(1).random, None)
    yield made
    made.sockets.close()
    loop.close()


def decide(version: Version = STABLE, number: int = 0, **route: object) -> Decision:
    shop = Route("shop", STABLE, NOBODY, 0, **route)  # type: ignore[arg-type]
    return Verdict(shop, version, "weight", analysed=True).decisions()[number]


def test_decisions_for_one_endpoint_share_its_connections(shared: Shared) -> None:
    one, same, other = decide(), decide(), decide(number=1)
    assert shared.pool_of(one) is shared.pool_of(same) is shared.pool_of(one)
    assert shared.pool_of(one) is not shared.pool_of(other)
    assert shared.pool_of(one).authority == b"192.0.2.1:1"
    assert set(shared.lent) == {one, same, other}
    assert shared.loads(one) is shared.pool_of(one)


def test_a_version_without_endpoints_has_a_pool_too(shared: Shared) -> None:
    assert shared.pool_of(decide(NOBODY)).in_flight == 0


def test_stable_answers_for_as_many_as_the_shields_budget_has(shared: Shared) -> None:
    shielded = decide(shield=Shield(2.0, 5_000))
    assert not shared.spend_shield(shielded)
    shared.pay(shielded, 100.0)
    assert not shared.spend_shield(shielded)
    shared.pay(shielded, 100.0)
    assert shared.spend_shield(shielded)
    assert not shared.spend_shield(shielded)


def test_without_a_shield_nothing_is_paid_or_spent(shared: Shared) -> None:
    for _ in range(100):
        shared.pay(decide(), 100.0)
    assert not shared.spend_shield(decide())


def test_routes_with_the_same_patience_share_their_timer(shared: Shared) -> None:
    short, as_short, long = (decide(shield=Shield(seconds)) for seconds in (0.5, 0.5, 2.0))
    assert shared.patience_of(short) is shared.patience_of(as_short)
    assert shared.patience_of(short) is not shared.patience_of(long)
    assert shared.patience_of(decide()) is shared.patience_of(decide())


def test_a_deadline_is_never_met_early(shared: Shared) -> None:
    assert shared.in_seconds(2.0) == 100.0 + 2.0 + SWEEP
    assert shared.in_seconds(math.inf) == math.inf
    assert shared.keep_alive == PlaneSettings().timeouts.keep_alive + SWEEP


def test_an_answer_of_our_own_says_who_gave_it(shared: Shared) -> None:
    transport = Transport()
    shared.answer(transport, Failure.OVERLOADED, None, close=True)  # type: ignore[arg-type]
    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert b"canaryproxy-test" in transport.written
    assert b"Connection: close\r\n" in transport.written
