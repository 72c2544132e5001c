"""Which endpoints a version has. H60."""

import pytest

from canaryproxy.config import parse
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.endpoints import endpoints_of, is_resolved, names, usable


def route(text: str) -> RouteConfig:
    return parse(text, "f", {}).routes["default"]


@pytest.mark.parametrize(
    ("host", "resolved"),
    [("shop", True), ("localhost", False), ("a.localhost", False), ("192.0.2.1", False), ("::1", False)],
)
def test_names_are_resolved_but_not_those_of_this_machine(host: str, resolved: bool) -> None:
    assert is_resolved(host) is resolved


def test_every_address_of_every_name_is_an_endpoint_once() -> None:
    version = route(
        "stable: {endpoints: ['http://a:1', 'http://b:1', 'http://10.0.0.9:1', 'http://a:1']}\ncanary: http://c"
    ).stable
    answers = {"a": ("10.0.0.1", "10.0.0.2"), "b": ("10.0.0.2",)}
    assert [(one.host, one.name) for one in endpoints_of(version, answers)] == [
        ("10.0.0.1", "a"),
        ("10.0.0.2", "a"),
        ("10.0.0.2", "b"),
        ("10.0.0.9", ""),
    ]
    assert endpoints_of(version, answers)[0].site == "a:1"


def test_https_carries_the_name_to_expect() -> None:
    version = route("stable: https://shop.internal\ncanary: {url: 'https://10.0.0.1', tls: {server_name: x.internal}}")
    (stable,) = endpoints_of(version.stable, {"shop.internal": ("10.0.0.1",)})
    (canary,) = endpoints_of(version.sides[1], {})
    assert stable.tls is not None
    assert canary.tls is not None
    assert (stable.port, stable.tls.server_name, canary.tls.server_name) == (443, "shop.internal", "x.internal")


def test_the_names_of_all_routes_are_asked_for() -> None:
    config = parse("stable: http://a\ncanary: {endpoints: ['http://b', 'http://10.0.0.1']}", "f", {})
    assert names(config.routes) == {"a", "b"}


S, C = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)
S2 = Endpoint("10.0.0.3", 1)


@pytest.mark.parametrize(
    ("fallback", "ill", "expected"),
    [
        ("true", set(), ((S, S2), (C,))),
        ("true", {S}, ((S2,), (C,))),
        ("true", {C}, ((S, S2), ())),
        ("true", {S, S2}, ((S, S2), (C,))),
        ("both", {S, S2}, ((), (C,))),
        ("both", {S, S2, C}, ((S, S2), ())),
        ("false", {C}, ((S, S2), ())),
    ],
)
def test_ill_endpoints_are_left_out_unless_nothing_could_stand_in(
    fallback: str, ill: set[Endpoint], expected: tuple[tuple[Endpoint, ...], ...]
) -> None:
    made = route(
        f"stable: {{endpoints: ['http://10.0.0.1:1', 'http://10.0.0.3:1']}}\ncanary: http://10.0.0.2:1\nfallback: {fallback}"
    )
    assert usable(made, {}, ill) == expected
