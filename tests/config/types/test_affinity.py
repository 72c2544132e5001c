"""Affinity as it is written; what is refused is what browsers would not store or send."""

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.affinity import affinity, affinity_text, cookie_scope_warnings, shared_salt_warnings
from canaryproxy.config.types.quantity import duration
from canaryproxy.model.table import Affinity

read = affinity(duration(1, 100))
SHOP = Affinity("cookie", "canaryproxy")


@pytest.mark.parametrize(
    ("written", "found", "text"),
    [
        ("off", None, "none"),
        (None, None, "none"),
        ("cookie", SHOP, "cookie"),
        ("source", Affinity("source"), "source"),
        ({"source": True}, Affinity("source"), "source"),
        ({"header": "X-User"}, Affinity("header", "x-user"), "header x-user"),
        ({"cookie": "c", "max_age": "90s"}, Affinity("cookie", "c", 90), "cookie c"),
        ({"header": "X-User", "salt": "shop"}, Affinity("header", "x-user", salt="shop"), "header x-user salt shop"),
        ({"source": True, "salt": "shop"}, Affinity("source", salt="shop"), "source salt shop"),
        (
            {"cookie": "c", "salt": "shop", "same_site": "Strict"},
            Affinity("cookie", "c", same_site="Strict", salt="shop"),
            "cookie c salt shop",
        ),
        (
            {"cookie": "c", "domain": ".Example.com", "path": "/shop"},
            Affinity("cookie", "c", domain="example.com", path="/shop"),
            "cookie c",
        ),
        (
            {"cookie": "__Host-c", "secure": True, "same_site": "none", "partitioned": True},
            Affinity("cookie", "__Host-c", same_site="None", secure=True, partitioned=True),
            "cookie __Host-c",
        ),
        (
            {"cookie": "__Secure-c", "secure": True, "domain": "example.com"},
            Affinity("cookie", "__Secure-c", secure=True, domain="example.com"),
            "cookie __Secure-c",
        ),
    ],
)
def test_affinity_is_a_word_or_a_mapping(written: object, found: Affinity | None, text: str) -> None:
    assert read(written) == found
    assert affinity_text(found) == text


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (5, "expected none, cookie"),
        ("session", "expected none"),
        ({}, "expected none"),
        ({"max_age": "1h"}, "expected none"),
        ({"cookie": "a", "header": "b"}, "expected none"),
        ({"cookie": "a b"}, "a cookie's name"),
        ({"header": "te"}, "te is not"),
        ({"cookie": "a", "b": 1}, "`b` is not a key of an affinity; known here: cookie, salt, max_age"),
        ({"source": False}, "`source: true`"),
        ({"header": "a", "domain": "x"}, "remove `domain`: it is an attribute of a cookie"),
        ({"cookie": "a", "max_age": "0s"}, "duration"),
        ({"cookie": "a", "salt": "A B"}, "a salt has"),
        ({"cookie": "a", "salt": ""}, "a salt has"),
        ({"cookie": "a", "same_site": "no"}, "lax`, strict or none"),
        ({"cookie": "a", "same_site": False}, "lax`, strict or none"),
        ({"cookie": "a", "same_site": "none"}, "`same_site: none` only in a secure"),
        ({"cookie": "a", "partitioned": True}, "`partitioned: true` only in a secure"),
        ({"cookie": "__host-a"}, "begins with __Host- only in a secure"),
        ({"cookie": "__SECURE-a"}, "__Secure- only in a secure"),
        ({"cookie": "__Host-a", "secure": True, "path": "/a"}, "only with path /"),
        ({"cookie": "__Host-a", "secure": True, "domain": "a.test"}, "without a domain"),
        ({"cookie": "a", "secure": "yes"}, "`secure: true` or false"),
        ({"cookie": "a", "partitioned": 1}, "`partitioned: true` or"),
        ({"cookie": "a", "domain": "10.0.0.1"}, "an IP address"),
        ({"cookie": "a", "domain": "a b"}, "a cookie's domain"),
        ({"cookie": "a", "domain": "a.test; Secure"}, "a cookie's domain"),
        ({"cookie": "a", "domain": "a.test:80"}, "a cookie's domain"),
        ({"cookie": "a", "domain": "."}, "a cookie's domain"),
        ({"cookie": "a", "path": "a"}, "a cookie's path"),
        ({"cookie": "a", "path": "/;Secure"}, "a cookie's path"),
        ({"cookie": "a", "path": "/\r\n"}, "a cookie's path"),
    ],
)
def test_what_would_not_work_is_refused_with_what_to_write(written: object, hint: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read(written)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("cookie", "hosts", "paths", "count"),
    [
        (SHOP, ("a.test",), ("/a",), 0),
        (Affinity("cookie", "c", domain="a.test"), ("a.test", "b.a.test", "*.a.test"), ("/",), 0),
        (Affinity("cookie", "c", domain="a.test"), ("ba.test", "test"), ("/",), 2),
        (Affinity("cookie", "c", domain="a.test"), (), ("/",), 0),
        (Affinity("cookie", "c", path="/shop"), (), ("/shop", "/shop/cart"), 0),
        (Affinity("cookie", "c", path="/shop/"), (), ("/", "/shopping"), 2),
        (Affinity("header", "x-user"), ("a.test",), ("/a",), 0),
    ],
)
def test_a_cookie_that_does_not_come_back_is_warned_of(
    cookie: Affinity, hosts: tuple[str, ...], paths: tuple[str, ...], count: int
) -> None:
    assert len(cookie_scope_warnings(cookie, hosts, paths)) == count


COOKIE, HEADER = Affinity("cookie", "c", salt="app"), Affinity("header", "x-user", salt="app")


@pytest.mark.parametrize(
    ("page", "api", "words"),
    [
        ((COOKIE, 500), (COOKIE, 500), ""),
        ((SHOP, 500), (SHOP, 100), ""),
        ((COOKIE, 500), (None, 0), ""),
        ((COOKIE, 500), (COOKIE, 100), "routes.api: shares the salt app with page, which has another weight"),
        ((COOKIE, 500), (HEADER, 500), "routes.api: shares the salt app with page, which has another kind of affinity"),
        ((COOKIE, 500), (Affinity("cookie", "d", salt="app"), 500), "which has another kind of affinity"),
        ((SHOP, 500), (Affinity("cookie", "canaryproxy", salt="page"), 100), "shares the salt page with page"),
    ],
)
def test_routes_that_share_a_salt_in_vain_are_warned_of(
    page: tuple[Affinity | None, int], api: tuple[Affinity | None, int], words: str
) -> None:
    found = shared_salt_warnings({"page": page, "api": api})
    assert len(found) == (words != "")
    assert words in "".join(found)
