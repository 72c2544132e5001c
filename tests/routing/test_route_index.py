"""Host and path to route."""

import pytest

from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version
from canaryproxy.routing.route_index import MAX_CACHED_HOSTS, RouteIndex, host_name


def route(name: str, hosts: tuple[str, ...] = (), paths: tuple[str, ...] = ("/",)) -> Route:
    endpoint = (Endpoint("a", 1),)
    return Route(name, Version("stable", endpoint), Version("canary", endpoint), 0, hosts, paths)


INDEX = RouteIndex(
    RoutingTable(
        3,
        (
            route("any"),
            route("any-api", paths=("/api", "/v2/api")),
            route("shop", ("shop.test",)),
            route("cart", ("shop.test",), ("/cart",)),
            route("wild", ("*.shop.test",)),
            route("deep", ("*.eu.shop.test", "[::1]")),
            route("pathy", ("pathy.test",), ("/only",)),
        ),
    )
)


@pytest.mark.parametrize(
    ("host", "target", "name"),
    [
        (b"else.test", b"/", "any"),
        (b"else.test", b"/api", "any-api"),
        (b"else.test", b"/api/x?y=/", "any-api"),
        (b"else.test", b"/apix", "any"),
        (b"else.test", b"/v2/api/", "any-api"),
        (b"else.test", b"/v2", "any"),
        (b"else.test", b"/x/../api", "any-api"),
        (b"else.test", b"/%61pi", "any-api"),
        (b"else.test", b"/a%70i?", "any-api"),
        (None, b"/api", "any-api"),
        (b"shop.test", b"/", "shop"),
        (b"SHOP.test.:80", b"/cart/1", "cart"),
        (b"shop.test", b"/api", "shop"),
        (b"a.shop.test", b"/cart", "wild"),
        (b"a.b.shop.test", b"/", "wild"),
        (b"a.eu.shop.test", b"/", "deep"),
        (b"eu.shop.test", b"/", "wild"),
        (b"[0::1]:9", b"/", "deep"),
        (b"pathy.test", b"/only/this", "pathy"),
        (b"pathy.test", b"/api", None),
        (b"shop.test", b"*", "shop"),
        (b"pathy.test", b"*", None),
    ],
)
def test_the_most_specific_host_then_the_longest_path_has_the_request(
    host: bytes | None, target: bytes, name: str | None
) -> None:
    entry = INDEX.find(host, target)
    assert (entry.route.name if entry else None) == name


def test_a_table_of_one_open_route_has_every_request() -> None:
    index = RouteIndex(RoutingTable(1, (route("only"),)))
    entry = index.find(None, b"*")
    assert entry is not None
    assert (entry.stable.version.name, entry.canary.version.name) == ("stable", "canary")


def test_hosts_that_clients_make_up_are_not_remembered_without_bound() -> None:
    for number in range(3 * MAX_CACHED_HOSTS):
        INDEX.find(b"host-%d.test" % number, b"/")
    INDEX.find(b"x" * 1000, b"/")
    assert len(INDEX._cache) <= MAX_CACHED_HOSTS


def test_the_first_of_two_routes_that_claim_the_same_has_it() -> None:
    index = RouteIndex(
        RoutingTable(
            1,
            (
                route("first", ("a.test",)),
                route("second", ("a.test",)),
                route("third", paths=("/x",)),
                route("fourth", paths=("/x",)),
            ),
        )
    )
    first, third = index.find(b"a.test", b"/"), index.find(b"b.test", b"/x")
    assert first is not None
    assert third is not None
    assert (first.route.name, third.route.name) == ("first", "third")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"Shop.Example.COM", b"shop.example.com"), (b"shop.test:8080", b"shop.test"), (b"shop.test.", b"shop.test"),
        (b"shop.test.:80", b"shop.test"), (b"[::1]:80", b"[::1]"), (b"[0:0::1]", b"[::1]"), (b"127.0.0.1:1", b"127.0.0.1"),
        (b"[junk]", b"[junk]"),
    ],
)  # fmt: skip
def test_case_port_and_a_trailing_dot_do_not_matter(host: bytes, name: bytes) -> None:
    """H53."""
    assert host_name(host) == name
