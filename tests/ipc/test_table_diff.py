"""Differences lead from any table to any other, and carry only what has changed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.ipc.codec import encode
from canaryproxy.ipc.table_diff import EMPTY, apply, diff
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version


def route(name: str, weight: int, rules: tuple[str, ...], port: int) -> Route:
    return Route(
        name,
        Version("stable", (Endpoint("a", port),)),
        Version("canary", ()),
        weight,
        rules=tuple(Rule(one, (), "canary") for one in rules),
    )


ROUTES = st.builds(
    route, st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from([(), ("x",), ("x", "y")]), st.integers(1, 2)
)
TABLES = st.lists(ROUTES, max_size=4, unique_by=lambda one: one.name).map(lambda some: RoutingTable(1, tuple(some)))


@given(st.lists(TABLES, min_size=1, max_size=5))
def test_applying_differences_one_after_another_gives_every_table(tables: list[RoutingTable]) -> None:
    ours = theirs = EMPTY
    for generation, table in enumerate(tables):
        wanted = replace(table, generation=generation)
        theirs = apply(theirs, diff(ours, wanted))
        ours = wanted
        assert theirs == wanted


def test_a_weight_that_changes_sends_no_rules_and_keeps_the_compiled_ones() -> None:
    rules = tuple(f"r{number}" for number in range(1000))
    before = RoutingTable(1, (route("a", 0, rules, 1), route("b", 0, (), 1)))
    after = RoutingTable(2, (replace(before.routes[0], weight=100), before.routes[1]))
    data = diff(before, after)
    assert ([one.name for one in data.routes], dict(data.rules)) == (["a"], {})
    assert len(encode(data)) < 700
    applied = apply(before, data)
    assert applied.routes[0].rules is before.routes[0].rules
    assert applied.routes[1] is before.routes[1]


def test_rules_that_go_are_reported() -> None:
    before = RoutingTable(1, (route("a", 0, ("x",), 1),))
    after = RoutingTable(2, (route("a", 0, (), 1),))
    assert apply(before, diff(before, after)) == after
