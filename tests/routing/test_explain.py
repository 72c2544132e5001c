"""Explanations in words; that they agree with decisions is tested by test_decisions. H57."""

import dataclasses
import random

from canaryproxy.model.head import RequestHead
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Route, RoutingTable
from canaryproxy.routing.explain import Explanation, explain
from canaryproxy.routing.route_index import RouteIndex
from tests.routing.test_affinity import CLIENT, COOKIE, ROUTE, head

DICE = random.Random(4).random
RULE = Rule("testers", (Condition("header", "exact", ("1",), "x-tester"),), "canary")
SECOND = Rule("all", (), "stable")


def reported(route: Route, asked: RequestHead | None = None) -> Explanation:
    explanation = explain(RouteIndex(RoutingTable(1, (route,))), asked or head(), CLIENT, DICE)
    assert explanation is not None
    return explanation


def test_a_drawn_request_names_both_shares() -> None:
    why = reported(dataclasses.replace(ROUTE, affinity=None, weight=500))
    assert why.sentence == "canary for 5 % and stable for the others, by the weight; each request draws a new bucket"
    assert (why.version, why.share, why.bucket) == (None, 500, None)


def test_a_new_browser_gets_a_cookie() -> None:
    why = reported(dataclasses.replace(ROUTE, affinity=COOKIE, weight=500))
    assert why.fresh
    assert why.sentence.endswith("a new client gets a cookie and keeps its bucket")


def test_a_known_client_is_reported_its_bucket() -> None:
    why = reported(dataclasses.replace(ROUTE, weight=9_999), head(b"X-User: user-1\r\n"))
    assert why.version == "canary"
    assert f"bucket {why.bucket} is below 9999 (99.99 %, by the weight)" in why.sentence


def test_each_rule_says_why_it_does_not_decide() -> None:
    why = reported(dataclasses.replace(ROUTE, rules=(RULE, SECOND, RULE)), head(b"X-Tester: 0\r\n"))
    assert [rule.decides for rule in why.rules] == [False, True, False]
    assert why.rules[0].why == 'header x-tester must be "1", and it is "0"'
    both = reported(dataclasses.replace(ROUTE, rules=(RULE, SECOND)), head(b"X-Tester: 1\r\n"))
    assert [(rule.matches, rule.why) for rule in both.rules] == [
        (True, "matches, and decides"),
        (True, "matches too, but testers comes first"),
    ]
    assert both.sentence == "canary, because rule testers sends 100 % to canary"


def test_an_abort_is_the_reason_where_it_is_one() -> None:
    why = reported(dataclasses.replace(ROUTE, rules=(RULE,), aborted=True), head(b"X-Tester: 1\r\n"))
    assert why.sentence == "stable, because the canary is aborted"
    assert why.rules[0].why == "matches, but the canary is aborted and this is no preview"


def test_a_request_without_a_route_has_no_explanation() -> None:
    index = RouteIndex(RoutingTable(1, (dataclasses.replace(ROUTE, hosts=("else.test",)),)))
    assert explain(index, head(), CLIENT, DICE) is None
