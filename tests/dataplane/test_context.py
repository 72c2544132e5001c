"""What connections share: pools, budgets, patience, and how late a deadline may be met."""

import asyncio
import math
import random
from collections.abc import Iterator

import pytest

from canaryproxy.dataplane.context import SWEEP_SECONDS, Clock, Telemetry, WorkerContext
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Failure
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Shield, Version

STABLE = Version("stable", (Endpoint("192.0.2.1", 1), Endpoint("192.0.2.1", 2)))
NO_ONE = Version("canary", ())


class FixedTime:
    """Time that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def context() -> Iterator[WorkerContext]:
    loop = asyncio.new_event_loop()
    clock = Clock(loop, FixedTime(), FixedTime())
    made = WorkerContext(
        PlaneSettings(), clock, Telemetry(clock, None, b""), "canaryproxy-test", random.Random(1).random
    )
    yield made
    made.pools.sockets.close()
    loop.close()


def decide(version: Version = STABLE, number: int = 0, **route: object) -> Decision:
    shop = Route("shop", STABLE, NO_ONE, 0, **route)  # type: ignore[arg-type]
    return VersionChoice(shop, version, "weight", analysed=True).decisions()[number]


def test_decisions_for_one_endpoint_share_its_connections(context: WorkerContext) -> None:
    one, same, other = decide(), decide(), decide(number=1)
    assert context.pools.of(one) is context.pools.of(same) is context.pools.of(one)
    assert context.pools.of(one) is not context.pools.of(other)
    assert context.pools.of(one).authority == b"192.0.2.1:1"
    assert set(context.pools.by_decision) == {one, same, other}
    assert context.pools.endpoint_load(one) is context.pools.of(one)


def test_a_version_without_endpoints_has_a_pool_too(context: WorkerContext) -> None:
    assert context.pools.of(decide(NO_ONE)).in_flight == 0


def test_stable_answers_for_as_many_as_the_shields_budget_has(context: WorkerContext) -> None:
    shielded = decide(shield=Shield(2.0, 5_000))
    assert not context.shields.withdraw(shielded)
    context.shields.deposit(shielded, 100.0)
    assert not context.shields.withdraw(shielded)
    context.shields.deposit(shielded, 100.0)
    assert context.shields.withdraw(shielded)
    assert not context.shields.withdraw(shielded)


def test_without_a_shield_nothing_is_paid_or_spent(context: WorkerContext) -> None:
    for _ in range(100):
        context.shields.deposit(decide(), 100.0)
    assert not context.shields.withdraw(decide())


def test_routes_with_the_same_patience_share_their_timer(context: WorkerContext) -> None:
    short, as_short, long = (decide(shield=Shield(seconds)) for seconds in (0.5, 0.5, 2.0))
    assert context.shields.deadline_queue(short) is context.shields.deadline_queue(as_short)
    assert context.shields.deadline_queue(short) is not context.shields.deadline_queue(long)
    assert context.shields.deadline_queue(decide()) is context.shields.deadline_queue(decide())


def test_a_deadline_is_never_met_early(context: WorkerContext) -> None:
    assert context.clock.deadline_in(2.0) == 100.0 + 2.0 + SWEEP_SECONDS
    assert context.clock.deadline_in(math.inf) == math.inf
    assert context.lifetime.keep_alive == PlaneSettings().timeouts.keep_alive + SWEEP_SECONDS


def test_an_answer_of_our_own_says_who_gave_it(context: WorkerContext) -> None:
    response = context.local_response(Failure.OVERLOADED, None, close=True)
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"canaryproxy-test" in response
    assert b"Connection: close\r\n" in response


def test_what_is_shared_says_what_it_is(context: WorkerContext) -> None:
    for part in (context.clock, context.routing, context.pools, context.shields, context.telemetry, context.lifetime):
        assert type(part).__name__ in repr(part)


def test_a_shield_that_a_table_does_not_name_is_forgotten(context: WorkerContext) -> None:
    shielded = decide(shield=Shield(2.0, 10_000))
    context.shields.deposit(shielded, 100.0)
    context.shields.deadline_queue(shielded)
    assert context.shields.can_withdraw(shielded)
    context.shields.publish(RoutingTable(1, (shielded.route,)))
    assert context.shields.can_withdraw(shielded)
    context.shields.publish(RoutingTable(2, ()))
    assert not context.shields.can_withdraw(shielded)
    assert (context.shields.budgets, context.shields.patiences) == ({}, {})
