"""One request, one decision."""

import random

import pytest

from canaryproxy.model.client import Client
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.message import RequestHead
from canaryproxy.model.table import RoutingTable
from canaryproxy.routing.decide import decide
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_match import route

CLIENT = Client("192.0.2.1")


class Idle:
    """An endpoint with nothing to do."""

    in_flight = 0
    ejected = False


def idle(_: Decision) -> Idle:
    return Idle()


def head(host: bytes = b"shop.test") -> RequestHead:
    request = RequestHead(b"GET", b"/", 1)
    request.host = host
    return request


@pytest.mark.parametrize("weight", [0, 25, 100, 5_000, 10_000])
def test_ten_thousand_decisions_give_the_canary_exactly_its_weight(weight: int) -> None:
    shop = route("shop")
    table = RoutingTable(1, (type(shop)("shop", shop.stable, shop.canary, weight),))
    index, splits = RouteIndex(table), Splits(random.Random(5).random)
    versions = [decide(index, head(), CLIENT, splits, idle)[0].version.name for _ in range(10_000)]
    assert versions.count("canary") == weight


def test_changing_the_table_does_not_disturb_the_sequence() -> None:
    shop = route("shop")
    splits = Splits(random.Random(5).random)
    count = 0
    for generation in range(1_000):
        index = RouteIndex(RoutingTable(generation, (type(shop)("shop", shop.stable, shop.canary, 100),)))
        count += sum(decide(index, head(), CLIENT, splits, idle)[0].version.name == "canary" for _ in range(10))
    assert count == 100


def test_a_decision_says_who_and_why() -> None:
    decision = decide(RouteIndex(RoutingTable(7, (route("shop"),))), head(), CLIENT, Splits(random.random), idle)[0]
    assert repr(decision) == "<Decision shop: stable at a:1 by weight>"
    assert decision.analysed


def test_no_route_is_refused_and_draws_nothing() -> None:
    splits = Splits(random.random)
    with pytest.raises(Refused) as caught:
        decide(RouteIndex(RoutingTable(1, (route("shop", ("shop.test",)),))), head(b"else.test"), CLIENT, splits, idle)
    assert caught.value.failure is Failure.NO_ROUTE
    assert len(splits) == 0
