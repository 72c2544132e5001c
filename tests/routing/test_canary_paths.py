"""Every path to a canary is found, and an abort closes all of them but the one for previews."""

import dataclasses
import random
from typing import Any

import pytest

from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Endpoint, Mirror, Route, RoutingTable, Shield, Version
from canaryproxy.routing.canary_paths import PATHS, open_paths
from canaryproxy.routing.decide import decide
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_affinity import CLIENT, COOKIE, head
from tests.routing.test_decide import idle

PLAIN = Route("shop", Version("stable", (Endpoint("a", 1),)), Version("canary", (Endpoint("b", 1),)))
TESTER = (Condition("header", "exact", ("1",), "x-tester"),)
BOTH = frozenset(("stable", "canary"))

OPEN: dict[str, dict[str, Any]] = {
    "weight": {"weight": 1},
    "rule to canary": {"rules": (Rule("r", TESTER, "canary", 1),)},
    "rule to stable with percent": {"rules": (Rule("r", (), "stable", 9_999),)},
    "fallback: both": {"fallback": BOTH},
    "mirror": {"mirror": Mirror(1)},
    "preview rule": {"rules": (Rule("r", TESTER, "canary", 10_000, preview=True),)},
}

CLOSED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a rule to canary for none": {"rules": (Rule("r", (), "canary", 0),)},
    "a rule to stable for everybody": {"rules": (Rule("r", (), "stable", 10_000, preview=True),)},
    "the fallback to stable alone": {"fallback": frozenset(("canary",))},
    "no copies": {"mirror": Mirror(0)},
    "affinity without a share": {"affinity": COOKIE},
    "a shield": {"shield": Shield()},
}


def ways(verdict: VersionChoice | None, seen: set[str], index: RouteIndex) -> set[str]:
    """Endpoints that an exchange or its copy may come to, of a decision and all that stands behind it."""
    if verdict is not None:
        seen |= {one.endpoint.host for one in verdict.decisions() if one.endpoint is not None and index.allows(one)}
        for other in (verdict.fallback, verdict.shield, verdict.mirror):
            ways(other, seen, index)
    return seen


def touched(route: Route, later: Route | None = None) -> set[str]:
    """Whom many requests of all kinds may come to by the table of `route`, moved on by that of `later`."""
    index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(2).random)
    after = index if later is None else RouteIndex(RoutingTable(2, (later,)))
    seen: set[str] = set()
    for number in range(20_000):
        asked = head(b"X-Tester: 1\r\n" if number % 2 else b"")
        ways(decide(index, asked, CLIENT, splits, idle)[0].choice, seen, after)
    return seen


def test_each_path_has_an_example_here() -> None:
    assert OPEN.keys() == {path.name for path in PATHS}


@pytest.mark.parametrize("name", OPEN)
def test_a_path_is_found_and_it_leads_there(name: str) -> None:
    route = dataclasses.replace(PLAIN, **OPEN[name])
    assert open_paths(route) == (name,)
    assert touched(route) == {"a", "b"}


@pytest.mark.parametrize("affinity", [None, Affinity("header", "x-user"), COOKIE])
@pytest.mark.parametrize("name", OPEN)
def test_an_abort_closes_every_path_but_that_of_a_preview(name: str, affinity: Affinity | None) -> None:
    route = dataclasses.replace(PLAIN, **OPEN[name], affinity=affinity, shield=Shield())
    off = dataclasses.replace(route, aborted=True)
    assert open_paths(off) == (name,)
    kept = {path.name for path in PATHS if not path.closed_by}
    assert touched(off) == ({"a", "b"} if name in kept else {"a"})


@pytest.mark.parametrize("name", CLOSED)
def test_what_leads_nowhere_is_no_path(name: str) -> None:
    route = dataclasses.replace(PLAIN, **CLOSED[name])
    assert open_paths(route) == ()
    assert touched(route) == {"a"}


ALL = {**OPEN["weight"], "fallback": BOTH, "mirror": Mirror(10_000)}


@pytest.mark.parametrize(
    "rule",
    [
        Rule("r", (), "stable", 5_000, preview=True),
        Rule("r", (), "stable", 5_000),
        Rule("r", (), "canary", 5_000),
        Rule("r", (), "stable", 10_000, preview=True),
    ],
    ids=str,
)
def test_what_was_decided_before_an_abort_is_moved_to_the_canary_no_more(rule: Rule) -> None:
    route = dataclasses.replace(PLAIN, **ALL, rules=(rule,))
    assert touched(route, dataclasses.replace(route, aborted=True)) == {"a"}


def test_those_outside_a_previews_percentage_are_no_previews() -> None:
    rule = Rule("r", (), "canary", 5_000, preview=True)
    route = dataclasses.replace(PLAIN, **ALL, rules=(rule,))
    index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(2).random)
    found: list[Decision] = [decide(index, head(), CLIENT, splits, idle)[0] for _ in range(100)]
    off = RouteIndex(RoutingTable(2, (dataclasses.replace(route, aborted=True),)))
    for decision in found:
        assert decision.preview is (decision.version.name == "canary")
        assert ways(decision.choice, set(), off) == ({"a", "b"} if decision.preview else {"a"})
