"""Buckets of clients: frozen, even, and monotone under the weight. H56."""

import dataclasses
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version, VersionName
from canaryproxy.routing.affinity import AffinityKey, bucket_of, salt_of
from canaryproxy.routing.decide import decide
from canaryproxy.routing.field_scan import is_client_id
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_decide import idle

COOKIE = Affinity("cookie", "canaryproxy")
CLIENT = Client("192.0.2.7")
ROUTE = Route(
    "shop",
    Version("stable", (Endpoint("a", 1),)),
    Version("canary", (Endpoint("b", 1),)),
    affinity=Affinity("header", "x-user"),
)


def head(plain: bytes = b"") -> RequestHead:
    made = RequestHead(b"GET", b"/")
    made.host, made.plain = b"shop.test", plain
    return made


def versions(route: Route, users: int) -> list[str]:
    """What each of so many users gets."""
    index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(3).random)
    heads = [head(b"X-User: user-%d\r\n" % user) for user in range(users)]
    return [decide(index, one, CLIENT, splits, idle)[0].version.name for one in heads]


@pytest.mark.parametrize(
    ("key", "salt", "bucket"),
    [
        (b"user-1", "shop", 1503),
        (b"user-2", "shop", 5837),
        (b"", "shop", 8153),
        (b"user-1", "blog", 521),
        (b"192.0.2.7", "shop", 1756),
        (b"2001:db8::1", "shop", 9989),
        (b"0123456789abcdef0123456789", "shop/testers", 6086),
        ("käse".encode(), "shop", 2844),
        (b"user-1", "r" * 63 + "/" + "x" * 63, 1488),
    ],
)
def test_the_hash_is_frozen(key: bytes, salt: str, bucket: int) -> None:
    assert bucket_of(key, salt_of(salt)) == bucket


def test_buckets_are_even() -> None:
    counts = Counter(bucket_of(b"user-%d" % user, b"shop") // 1000 for user in range(100_000))
    assert all(9_600 < count < 10_400 for count in counts.values())


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_the_weight_moves_users_only_to_the_canary_and_lowering_it_only_back(one: int, other: int) -> None:
    low, high = sorted((one, other))
    before = versions(dataclasses.replace(ROUTE, weight=low), 100)
    after = versions(dataclasses.replace(ROUTE, weight=high), 100)
    assert ("canary", "stable") not in set(zip(before, after, strict=True))


def test_from_5_to_20_percent_no_one_moves_back_and_down_again_only_those_above() -> None:
    five = versions(dataclasses.replace(ROUTE, weight=500), 10_000)
    twenty = versions(dataclasses.replace(ROUTE, weight=2_000), 10_000)
    moves = Counter(zip(five, twenty, strict=True))
    assert moves["canary", "stable"] == 0
    assert 400 < five.count("canary") < 600
    assert 1_850 < twenty.count("canary") < 2_150
    assert versions(dataclasses.replace(ROUTE, weight=500), 10_000) == five


def test_ten_thousand_browsers_that_come_back_twenty_times_keep_a_share_of_five_percent() -> None:
    """No ratchet: a cookie on both sides, and never one that names a version."""
    route = dataclasses.replace(ROUTE, affinity=COOKIE, weight=500)
    index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(9).random)
    jars: list[bytes] = [b""] * 10_000
    shares, given_out = [], 0
    first: list[VersionName] = []
    for visit in range(20):
        seen = []
        for user, jar in enumerate(jars):
            plain = b"Cookie: " + jar + b"\r\n" if jar else b""
            decision, key, _, _ = decide(index, head(plain), CLIENT, splits, idle)
            assert key is not None
            if key.cookie:
                given_out += 1
                jars[user] = key.cookie.removeprefix(b"Set-Cookie: ").partition(b";")[0]
            seen.append(decision.version.name)
        shares.append(seen.count("canary"))
        if visit == 0:
            first = seen
        assert seen == first
    assert given_out == 10_000
    assert set(shares) == {shares[0]}
    assert 430 < shares[0] < 570


def test_a_rule_neither_needs_nor_replaces_the_cookie_but_a_percentage_does_need_it() -> None:
    from canaryproxy.model.rule import Condition, Rule

    tester = Condition("header", "exact", ("1",), "x-tester")
    rules = (
        Rule("half", (Condition("header", "exact", ("1",), "x-half"),), "canary", 5_000),
        Rule("testers", (tester,), "canary"),
    )
    index = RouteIndex(RoutingTable(1, (dataclasses.replace(ROUTE, affinity=COOKIE, rules=rules),)))
    splits = Splits(random.Random(1).random)
    assert decide(index, head(b"X-Tester: 1\r\n"), CLIENT, splits, idle)[1] is None
    key = decide(index, head(b"X-Half: 1\r\n"), CLIENT, splits, idle)[1]
    assert key is not None
    assert key.cookie
    kept = decide(index, head(b"X-Half: 1\r\nCookie: canaryproxy=" + key.value + b"\r\n"), CLIENT, splits, idle)[1]
    assert kept is not None
    assert (kept.value, kept.cookie) == (key.value, b"")


@pytest.mark.parametrize(
    ("affinity", "secure", "field"),
    [
        (COOKIE, False, b"Set-Cookie: canaryproxy=abc; Path=/; HttpOnly; SameSite=Lax\r\n"),
        (COOKIE, True, b"Set-Cookie: canaryproxy=abc; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"),
        (Affinity("cookie", "c", 60), False, b"Set-Cookie: c=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax\r\n"),
        (
            Affinity("cookie", "c", same_site="Strict", domain="a.test", path="/a"),
            False,
            b"Set-Cookie: c=abc; Path=/a; Domain=a.test; HttpOnly; SameSite=Strict\r\n",
        ),
        (
            Affinity("cookie", "__Host-c", same_site="None", secure=True, partitioned=True),
            False,
            b"Set-Cookie: __Host-c=abc; Path=/; HttpOnly; SameSite=None; Partitioned; Secure\r\n",
        ),
    ],
)
def test_the_cookie_has_the_attributes_of_its_scheme(affinity: Affinity, secure: bool, field: bytes) -> None:
    client = Client("192.0.2.7", b"https" if secure else b"http")
    key = AffinityKey(affinity).key(RequestView(head(), client), random.Random(5).random)
    assert key is not None
    assert key.cookie == field.replace(b"=abc;", b"=" + key.value + b";")


def test_an_id_is_random_well_formed_and_never_what_a_client_made_up() -> None:
    rng = random.Random(5).random
    ids = {key.value for _ in range(1_000) if (key := AffinityKey(COOKIE).key(RequestView(head(), CLIENT), rng))}
    assert len(ids) == 1_000
    assert all(map(is_client_id, ids))
    for odd in (b"x", b"a" * 65, b"0123456789abcde!", b"0123456789abcdef\x80"):
        key = AffinityKey(COOKIE).key(RequestView(head(b"Cookie: canaryproxy=" + odd + b"\r\n"), CLIENT), rng)
        assert key is not None
        assert key.cookie


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_any_dice_make_a_valid_id(one: float, other: float) -> None:
    rolls = iter((one, other))
    key = AffinityKey(COOKIE).key(RequestView(head(), CLIENT), lambda: next(rolls))
    assert key is not None
    assert is_client_id(key.value)


def test_a_key_that_came_in_a_header_is_not_taken_for_a_cookie_of_ours() -> None:
    """Both may come over one connection, which remembers its last key."""
    by_header = dataclasses.replace(ROUTE, name="by-header", hosts=("a.test",), affinity=Affinity("header", "x-user"))
    by_cookie = dataclasses.replace(ROUTE, name="by-cookie", hosts=("b.test",), affinity=COOKIE)
    index, splits = RouteIndex(RoutingTable(1, (by_header, by_cookie))), Splits(random.Random(1).random)
    client = Client("192.0.2.1")
    asked, followed = head(b"X-User: bob\r\n"), head(b"Cookie: canaryproxy=bob\r\n")
    asked.host, followed.host = b"a.test", b"b.test"
    data = decide(index, asked, client, splits, idle)[1]
    assert data is not None
    assert data.value == b"bob"
    fresh = decide(index, followed, client, splits, idle)[1]
    assert fresh is not None
    assert fresh.value != b"bob"
    assert fresh.cookie


def test_routes_with_one_salt_give_a_client_one_version_and_one_with_another_weight_only_more_of_it() -> None:
    page = dataclasses.replace(ROUTE, name="page", salt="shop", weight=2_000)
    api = dataclasses.replace(ROUTE, name="api", salt="shop", weight=2_000)
    assert versions(page, 1_000) == versions(api, 1_000)
    assert versions(page, 1_000) == versions(dataclasses.replace(ROUTE, name="shop", weight=2_000), 1_000)
    assert versions(page, 1_000) != versions(dataclasses.replace(api, salt=""), 1_000)
    both = zip(versions(page, 1_000), versions(dataclasses.replace(api, weight=500), 1_000), strict=True)
    assert ("stable", "canary") not in set(both)
