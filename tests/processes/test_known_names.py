"""The names that workers may use: all that a table leads to, for as long as an exchange may speak of them, and no
other.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.ipc.table_diff import EMPTY, diff
from canaryproxy.model.client import Client
from canaryproxy.model.decision import VersionChoice
from canaryproxy.model.goal import Goal
from canaryproxy.model.head import RequestHead
from canaryproxy.model.report import CounterKey
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version
from canaryproxy.processes import known_names as module
from canaryproxy.processes.known_names import NO_ENDPOINT_NAME, KnownNames, learn
from canaryproxy.processes.message_validation import DeltaValidator
from canaryproxy.routing.compiled_route import CompiledRoute
from canaryproxy.routing.request_view import RequestView


def version(name: str, ports: tuple[int, ...]) -> Version:
    return Version(name, tuple(Endpoint("10.0.0.1", port) for port in ports))  # type: ignore[arg-type]


def route(name: str = "shop", ports: tuple[int, ...] = (1,), rules: tuple[str, ...] = (), **more: object) -> Route:
    made = Route(
        name,
        version("stable", ports),
        version("canary", (9,)),
        rules=tuple(Rule(one, (), "canary") for one in rules),
        goals=(Goal("buy"),),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def knowing(*tables: tuple[Route, ...]) -> KnownNames:
    """What is known after these were published one after another."""
    made, before = KnownNames(), EMPTY
    for number, routes in enumerate(tables, 1):
        after = RoutingTable(number, routes)
        made.add(diff(before, after))
        before = after
    return made


def keys_of(one: Route) -> set[CounterKey]:
    """All that requests of a route can be counted under."""
    entry = CompiledRoute(one)
    request = RequestHead(b"GET", b"/")
    splits = [entry.split_for(RequestView(request, Client("192.0.2.1")), lambda: 0.5)[0]]
    splits += [
        CompiledRoute(replace(one, rules=())).split_for(RequestView(request, Client("192.0.2.1")), lambda: 0.5)[0]
    ]
    splits += [entry.split_of_rule(rule) for rule in one.rules]
    waiting: list[VersionChoice | None] = [
        entry.stable,
        entry.canary,
        *(side for split in splits for side in (split.below, split.above)),
    ]
    keys = set()
    while waiting:
        verdict = waiting.pop()
        if verdict is None:
            continue
        waiting += [verdict.fallback, verdict.shield]
        for decision in verdict.decisions():
            endpoint = NO_ENDPOINT_NAME if decision.endpoint is None else decision.endpoint.authority
            keys.add(CounterKey(one.name, verdict.version.name, endpoint, verdict.reason, verdict.analysed))
    return keys


ROUTES = st.builds(
    route,
    st.sampled_from("abc"),
    st.sampled_from([(), (1,), (1, 2)]),
    st.sampled_from([(), ("x",), ("x", "y")]),
    affinity=st.sampled_from([None, Affinity("source")]),
    aborted=st.booleans(),
)
TABLES = st.lists(ROUTES, max_size=3, unique_by=lambda one: one.name).map(tuple)


@given(st.lists(TABLES, min_size=1, max_size=5))
def test_whatever_any_table_decides_may_be_reported_for_ever(tables: list[tuple[Route, ...]]) -> None:
    check = DeltaValidator(knowing(*tables), 0, 10)
    for key in {key for table in tables for one in table for key in keys_of(one)}:
        check.key(key, 5)


def test_a_route_without_a_canary_has_no_name_for_one() -> None:
    plain = replace(route(), canary=None, goals=())
    assert list(knowing((plain,)).routes["shop"].endpoints) == ["stable"]


def test_endpoints_are_those_of_all_routes() -> None:
    made = knowing((route("a"), route("b", (7,))), (route("a", (3,)),))
    assert made.authorities >= {"10.0.0.1:1", "10.0.0.1:7", "10.0.0.1:3", "10.0.0.1:9"}
    assert "10.0.0.1:8" not in made.authorities
    made.add(diff(RoutingTable(2, ()), RoutingTable(3, (route("c", (8,)),))))
    assert "10.0.0.1:8" in made.authorities


def test_of_what_was_replaced_the_latest_stay() -> None:
    known: dict[str, None] = {}
    for number in range(100):
        learn(known, ("always", f"pod-{number}"), remembered=10)
    assert list(known) == [*(f"pod-{number}" for number in range(89, 99)), "always", "pod-99"]


def test_routes_that_come_and_go_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TABLES", 5)
    made, before = KnownNames(), EMPTY
    for number in range(50):
        after = RoutingTable(number, (route("always"), route(f"preview-{number}")))
        made.add(diff(before, after))
        before = after
    assert {"always", "preview-49", "preview-48"} <= made.routes.keys()
    assert len(made.routes) <= 7
