"""One request, one decision."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.client import Client
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import RequestHead
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Endpoint, RoutingTable
from canaryproxy.routing.decide import decide
from canaryproxy.routing.hashing import Hash
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_route_index import route

CLIENT = Client("192.0.2.1")


class Idle:
    """An endpoint with nothing to do."""

    in_flight = 0
    ejected = False


def idle(_: Decision) -> Idle:
    return Idle()


def head(host: bytes = b"shop.test") -> RequestHead:
    request = RequestHead(b"GET", b"/")
    request.host = host
    return request


@pytest.mark.parametrize("weight", [0, 25, 100, 5_000, 10_000])
def test_ten_thousand_decisions_give_the_canary_exactly_its_weight(weight: int) -> None:
    shop = route("shop")
    table = RoutingTable(1, (type(shop)("shop", shop.stable, shop.canary, weight),))
    index, splits = RouteIndex(table), Splits(random.Random(5).random)
    versions = [decide(index, head(), CLIENT, splits, idle)[0].version.name for _ in range(10_000)]
    assert versions.count("canary") == weight


HALF = Rule("half", (Condition("header", "exact", ("yes",), "x-half"),), "canary", 5_000, analyse=True)
THIRD = Rule("third", (Condition("header", "exact", ("yes",), "x-third"),), "stable", 3_333, analyse=True)
KEYED = tuple(
    replace(
        route(name, (name + ".test",)),
        weight=5_000,
        salt=salt,
        rules=(HALF, THIRD),
        affinity=Affinity("header", "x-user"),
    )
    for name, salt in (("a", ""), ("b", ""), ("as-a", "a"))
)
"""Two routes with salts of their own, and one with the salt of the first."""
SEVERAL = RouteIndex(RoutingTable(1, KEYED))
ASKED = st.tuples(
    st.sampled_from([b"a", b"a", b"b", b"as-a"]),
    st.sampled_from([b"ann", b"bob", b"eve"]),
    st.sampled_from([b"", b"", b"X-Half: yes\r\n", b"X-Third: yes\r\n"]),
)


def got(name: bytes, user: bytes, fields: bytes, client: Client) -> tuple[str, str, bytes | None, int]:
    """What a request over this client's connection gets."""
    asked = head(name + b".test")
    asked.plain = fields + b"X-User: " + user + b"\r\n"
    decision, key, number, _ = decide(SEVERAL, asked, client, Splits(random.Random(1).random), idle)
    return decision.version.name, decision.reason, None if key is None else key.value, number


@given(st.lists(ASKED, min_size=3, max_size=30))
def test_a_connection_gets_what_a_fresh_one_would_no_matter_who_came_before(
    asked: list[tuple[bytes, bytes, bytes]],
) -> None:
    """The number made of the last key is kept, and holds for this key under this salt alone."""
    connection = Client("192.0.2.1")
    for name, user, fields in asked:
        assert got(name, user, fields, connection) == got(name, user, fields, Client("192.0.2.1"))


@pytest.mark.parametrize("fields", [b"", b"X-Half: yes\r\n", b"X-Third: yes\r\n"])
def test_two_clients_that_take_turns_on_one_connection_keep_their_numbers(fields: bytes) -> None:
    connection = Client("192.0.2.1")
    found = [got(b"a", user, fields, connection) for user in (b"ann", b"bob", b"ann", b"ann", b"bob", b"bob", b"ann")]
    ann, bob = (Hash(b"a").of(user) for user in (b"ann", b"bob"))
    assert [number for *_, number in found] == [ann, bob, ann, ann, bob, bob, ann]
    assert len(set(found)) == 2


def test_another_table_has_its_own_numbers() -> None:
    connection = Client("192.0.2.1")
    found = []
    for salt in ("one", "two", "one"):
        shop = replace(KEYED[0], salt=salt)
        asked = head(b"a.test")
        asked.plain = b"X-User: ann\r\n"
        index = RouteIndex(RoutingTable(1, (shop,)))
        found.append(decide(index, asked, connection, Splits(random.random), idle)[2])
    assert found == [Hash(salt).of(b"ann") for salt in (b"one", b"two", b"one")]


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
    assert (decision.route.name, decision.version.name, decision.reason) == ("shop", "stable", "weight")
    assert decision.endpoint == Endpoint("a", 1)
    assert decision.analysed


def test_no_route_is_refused_and_draws_nothing() -> None:
    splits = Splits(random.random)
    with pytest.raises(RequestRejectedError) as caught:
        decide(RouteIndex(RoutingTable(1, (route("shop", ("shop.test",)),))), head(b"else.test"), CLIENT, splits, idle)
    assert caught.value.failure is Failure.NO_ROUTE
    assert len(splits) == 0
