"""Precedence: abort, rules in order, affinity, weight; most of it is tested by decisions.yaml. H54."""

import dataclasses
import random

import pytest

from canaryproxy.model.client import Client
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Endpoint, Mirror, Route, RoutingTable, Shield, Version, VersionName
from canaryproxy.routing.compiled_route import CompileCache, CompiledRoute, build_choices, mirror_of
from canaryproxy.routing.decide import decide
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_affinity import CLIENT, COOKIE, ROUTE, head
from tests.routing.test_decide import idle
from tests.routing.test_rule_index import facts

TESTERS = Rule("testers", (Condition("header", "exact", ("1",), "x-tester"),), "canary", 2_500)


def test_a_percentage_without_affinity_is_drawn_exactly_from_a_split_of_the_rule() -> None:
    route = dataclasses.replace(ROUTE, affinity=None, rules=(TESTERS,), weight=100)
    index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(2).random)
    heads = [head(b"X-Tester: 1\r\n"), head()]
    drawn = [[decide(index, one, CLIENT, splits, idle)[0].version.name for _ in range(10_000)] for one in heads]
    assert [versions.count("canary") for versions in drawn] == [2_500, 100]
    assert len(splits) == 2


def test_a_certain_rule_draws_nothing_and_needs_no_key() -> None:
    route = dataclasses.replace(ROUTE, affinity=COOKIE, rules=(dataclasses.replace(TESTERS, percent=10_000),))
    entry, splits = CompiledRoute(route), Splits(random.Random(2).random)
    split, key = entry.split_for(facts(plain=b"X-Tester: 1\r\n"), splits.rng)
    assert (key, split.certain) == (None, True)
    index = RouteIndex(RoutingTable(1, (route,)))
    decision, key, user, _ = decide(index, head(b"X-Tester: 1\r\n"), CLIENT, splits, idle)
    assert (decision.version.name, key, user, len(splits)) == ("canary", None, 0, 0)
    assert entry.split_of_rule(route.rules[0]) is entry.split_of_rule(route.rules[0])


def test_the_version_that_stands_in_is_the_one_that_the_route_names() -> None:
    stable, canary = build_choices(ROUTE, "weight")
    assert (stable.fallback, canary.fallback is not None) == (None, True)
    none = dataclasses.replace(ROUTE, fallback=frozenset())
    assert [one.fallback for one in build_choices(none, "weight")] == [None, None]
    both = dataclasses.replace(ROUTE, fallback=frozenset(("stable", "canary")))
    assert all(one.fallback is not None for one in build_choices(both, "weight"))
    off = dataclasses.replace(both, aborted=True)
    assert build_choices(off, "weight")[0].fallback is None


def test_a_newer_table_says_where_an_older_exchange_may_still_go() -> None:
    stable, canary = (verdict.decisions()[0] for verdict in build_choices(ROUTE, "weight"))
    preview = build_choices(ROUTE, "rule:preview", preview=True)[1].decisions()[0]

    def allowed(**changes: object) -> list[bool]:
        index = RouteIndex(RoutingTable(2, (dataclasses.replace(ROUTE, **changes),)))  # type: ignore[arg-type]
        return [index.allows(decision) for decision in (stable, canary, preview)]

    assert allowed() == [True, True, True]
    assert allowed(aborted=True) == [True, False, True]
    assert allowed(name="other") == [False, False, False]
    gone = dataclasses.replace(ROUTE.versions[1], endpoints=())
    assert allowed(canary=gone) == [True, False, False]
    assert (stable.choice.version.name, stable.choice.reason) == ("stable", "weight")
    assert stable.endpoint == ROUTE.stable.endpoints[0]
    assert build_choices(dataclasses.replace(ROUTE, canary=gone), "weight")[1].decisions()[0].endpoint is None
    assert Client("10.0.0.1").trusted is False


def test_rules_that_did_not_change_are_not_filed_again() -> None:
    route = dataclasses.replace(ROUTE, rules=(TESTERS,))
    first = RouteIndex(RoutingTable(1, (route,)))
    second = RouteIndex(RoutingTable(2, (dataclasses.replace(route, weight=7_000),)), first)
    third = RouteIndex(RoutingTable(3, (dataclasses.replace(route, rules=(TESTERS, TESTERS)),)), second)
    books = [index.by_name["shop"].rule_index for index in (first, second, third)]
    assert books[0] is books[1]
    assert len(books[2].rules) == 2


def test_excluded_requests_go_where_others_go_and_stay_out_of_the_analysis() -> None:
    probes = (Condition("path", "prefix", ("/healthz",)), Condition("header", "prefix", ("kube-probe",), "user-agent"))
    for affinity in (None, COOKIE):
        route = dataclasses.replace(ROUTE, affinity=affinity, weight=10_000, excluded=probes)
        index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(2).random)
        asked = [b"", b"User-Agent: kube-probe/1.30\r\n"]
        outcomes = [decide(index, head(one), CLIENT, splits, idle) for one in asked]
        assert [one[0].version.name for one in outcomes] == ["canary", "canary"]
        assert [one[0].analysed for one in outcomes] == [True, False]
        assert outcomes[1][2] == 0
        assert len({one[0].reason for one in outcomes}) == 1


ALONE = dataclasses.replace(ROUTE, canary=None, weight=0, affinity=None)


def test_a_route_without_a_canary_draws_nothing_keeps_no_split_and_knows_only_stable() -> None:
    old = Rule("old", (Condition("header", "exact", ("1",), "x-old"),), "stable")
    excluded = (Condition("header", "exact", ("1",), "x-probe"),)
    for route in (ALONE, dataclasses.replace(ALONE, rules=(old,)), dataclasses.replace(ALONE, excluded=excluded)):
        index, splits = RouteIndex(RoutingTable(1, (route,))), Splits(random.Random(2).random)
        for fields in (b"", b"X-Old: 1\r\n", b"X-Probe: 1\r\n"):
            decision, key, user, _ = decide(index, head(fields), CLIENT, splits, idle)
            assert (decision.version.name, decision.shield, decision.mirror, key, user) == (
                "stable",
                None,
                None,
                None,
                0,
            )
            assert decision.has_alternative is False
        assert len(splits) == 0


def test_whatever_waits_for_a_canary_decides_nothing_before_there_is_one() -> None:
    both = frozenset[VersionName](("stable", "canary"))
    route = dataclasses.replace(ALONE, fallback=both, shield=Shield(), mirror=Mirror(10_000))
    stable, other = build_choices(route, "weight")
    assert (stable is other, stable.fallback, stable.shield, mirror_of(route)) == (True, None, None, None)


def test_what_reaches_no_canary_is_no_table() -> None:
    for changes in ({"weight": 1}, {"rules": (TESTERS,)}, {"rules": (dataclasses.replace(TESTERS, to="stable"),)}):
        with pytest.raises(ValueError, match="has no canary, and something reaches it"):
            dataclasses.replace(ALONE, **changes)


def test_an_exchange_that_began_at_a_canary_goes_there_no_more_once_it_is_removed() -> None:
    stable, canary = (verdict.decisions()[0] for verdict in build_choices(ROUTE, "weight"))
    index = RouteIndex(RoutingTable(2, (ALONE,)), RouteIndex(RoutingTable(1, (ROUTE,))))
    assert [index.allows(decision) for decision in (stable, canary)] == [True, False]


STABLE, CANARY = Version("stable", (Endpoint("s", 1),)), Version("canary", (Endpoint("c", 1),))


def letting_in(value: str) -> tuple[Rule, ...]:
    return (Rule("testers", (Condition("header", "exact", (value,), "x-tester"),), "canary"),)


def test_equal_rules_goals_and_affinities_are_made_ready_once() -> None:
    common = CompileCache()
    assert common.rule_index(letting_in("yes")) is common.rule_index(letting_in("yes"))
    assert common.goals((Goal("cart"),)) is common.goals((Goal("cart"),))
    assert common.affinity_key(Affinity("cookie", "a")) is common.affinity_key(Affinity("cookie", "a"))


def test_what_differs_is_not_shared() -> None:
    common = CompileCache()
    assert common.rule_index(letting_in("yes")) is not common.rule_index(letting_in("no"))
    assert common.goals((Goal("cart"),)) is not common.goals((Goal("cart", header="x-value"),))
    assert common.affinity_key(Affinity("cookie", "a")) is not common.affinity_key(Affinity("cookie", "b"))


def test_without_goals_that_traffic_reaches_and_without_affinity_there_is_nothing_to_share() -> None:
    common = CompileCache()
    assert common.goals(()) is None
    assert common.goals((Goal("told", reported=True),)) is None
    assert common.affinity_key(None) is None


def test_routes_that_share_their_rules_keep_their_own_weights_and_buckets() -> None:
    routes = [
        Route(
            name, STABLE, CANARY, weight, (f"{name}.test",), rules=letting_in("yes"), affinity=Affinity("cookie", "a")
        )
        for name, weight in (("one", 100), ("other", 9_000))
    ]
    index = RouteIndex(RoutingTable(1, tuple(routes)))
    one, other = index.by_name["one"], index.by_name["other"]
    assert one.rule_index is other.rule_index
    assert (one.weight, other.weight) == (100, 9_000)
    assert one.salt != other.salt
    assert one.split_of_rule(one.rule_index.rules[0].rule).below.route is routes[0]
    assert other.split_of_rule(other.rule_index.rules[0].rule).below.route is routes[1]
