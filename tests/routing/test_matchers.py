"""Conditions as objects; what configurations make of them is tested in test_condition."""

from ipaddress import ip_network

import pytest

from canaryproxy.model.client import Client
from canaryproxy.routing.list_values import ListField
from canaryproxy.routing.matchers import (
    AnyIs,
    AnyListed,
    AnyMatches,
    FromNetworks,
    InPatternSet,
    IsPresent,
    Matcher,
    PathPrefix,
    all_match,
)
from canaryproxy.routing.patterns import Pattern, PatternSet, Prefix
from canaryproxy.routing.request_view import RequestView
from tests.routing.test_affinity import head


def asked(fields: bytes = b"", target: bytes = b"/", client: str = "192.0.2.1") -> RequestView:
    made = head(fields)
    made.target = target
    return RequestView(made, Client(client))


def test_a_method_is_one_of_several() -> None:
    assert AnyIs("method", b"", (b"GET", b"HEAD")).matches(asked())
    assert not AnyIs("method", b"", (b"POST",)).matches(asked())


@pytest.mark.parametrize(
    ("target", "below"), [(b"/cart", True), (b"/cart/1?x", True), (b"/carts", False), (b"/x/%2e%2e/cart/", True)]
)
def test_a_path_is_below_another_by_whole_segments(target: bytes, below: bool) -> None:
    assert PathPrefix(b"/cart").matches(asked(target=target)) is below


def test_a_path_matches_in_the_spelling_that_is_matched() -> None:
    assert AnyIs("path", b"", (b"/a",)).matches(asked(target=b"/%61"))
    assert not AnyIs("path", b"", (b"/a",)).matches(asked(target=b"/b"))
    assert AnyMatches("path", b"", Pattern("/a+")).matches(asked(target=b"/%61a"))
    assert not AnyMatches("path", b"", Pattern("/a+")).matches(asked(target=b"/b"))


def test_any_of_the_values_may_match() -> None:
    condition = AnyMatches("header", b"x-a", Prefix(b"2"))
    assert condition.matches(asked(b"X-A: 1\r\nX-A: 2\r\n"))
    assert not condition.matches(asked(b"X-A: 1\r\n"))
    assert not condition.matches(asked())
    assert AnyIs("header", b"x-a", (b"2", b"3")).matches(asked(b"X-A: 1\r\nX-A: 2\r\n"))
    assert not AnyIs("header", b"x-a", (b"2", b"3")).matches(asked(b"X-A: 1\r\n"))
    assert AnyIs("cookie", b"c", (b"1",)).matches(asked(b"Cookie: c=1\r\n"))
    assert AnyIs("query", b"q", (b"1",)).matches(asked(target=b"/?q=1"))


def test_any_item_of_any_list_may_be_wanted() -> None:
    condition = AnyListed(ListField("header", b"x-a"), (b"b", b"z"))
    assert condition.matches(asked(b"X-A: a\r\nX-A: c, b\r\n"))
    assert not condition.matches(asked(b"X-A: ab\r\n"))
    assert not condition.matches(asked())


def test_one_of_many_patterns_matches() -> None:
    battery = PatternSet("path", b"", [Pattern("/a.*"), Pattern("/b.*")])
    assert [InPatternSet(battery, number).matches(asked(target=b"/b/1")) for number in (0, 1)] == [False, True]


def test_presence_and_absence() -> None:
    assert IsPresent("header", b"x-a", wanted=True).matches(asked(b"X-A:\r\n"))
    assert not IsPresent("header", b"x-a", wanted=False).matches(asked(b"X-A:\r\n"))
    assert IsPresent("cookie", b"x", wanted=False).matches(asked())


def test_addresses_are_in_networks_and_unknown_ones_in_none() -> None:
    condition = FromNetworks([ip_network("198.51.100.0/24"), ip_network("192.0.2.0/24")])
    assert condition.matches(asked())
    assert not condition.matches(asked(client="203.0.113.1"))
    assert not condition.matches(asked(client="unknown"))


def test_a_condition_of_no_kind_says_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Matcher().matches(asked())


def test_all_hold_unless_one_does_not() -> None:
    get, post = AnyIs("method", b"", (b"GET",)), AnyIs("method", b"", (b"POST",))
    assert all_match((), asked())
    assert all_match((get, get), asked())
    assert not all_match((get, post), asked())
