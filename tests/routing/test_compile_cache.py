"""Routes of one table share what is equal, and nothing that is not."""

from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version
from canaryproxy.routing.compile_cache import CompileCache
from canaryproxy.routing.route_index import RouteIndex

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
