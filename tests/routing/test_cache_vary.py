"""What the answers of a route vary by: every field that may decide, as long as there is something to decide. H78."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.client import Client
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version
from canaryproxy.routing.cache_vary import MAX_NAMES, names_of, vary_summary
from canaryproxy.routing.decide import decide
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.routing.test_affinity import head
from tests.routing.test_decide import idle

COOKIE, USER, SOURCE = Affinity("cookie", "c"), Affinity("header", "x-user"), Affinity("source")


def rule(name: str = "x-a", to: str = "canary", percent: int = 10_000, *, preview: bool = False, **kinds: str) -> Rule:
    subject = kinds.get("subject", "header")
    conditions = (Condition(subject, "exact", ("1",), name),) if name else ()  # type: ignore[arg-type]
    return Rule(f"{name}{to}{percent}", conditions, to, percent, preview)  # type: ignore[arg-type]


def vary(*rules: Rule, weight: int = 0, affinity: Affinity | None = None, aborted: bool = False) -> tuple[bytes, ...]:
    return names_of(vary_summary(rules, aborted=aborted), weight, affinity, aborted=aborted)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (vary(), ()),
        (vary(weight=500), ()),
        (vary(weight=500, affinity=COOKIE), (b"Cookie",)),
        (vary(weight=500, affinity=USER), (b"X-User",)),
        (vary(weight=500, affinity=SOURCE), ()),
        (vary(weight=0, affinity=COOKIE), ()),
        (vary(weight=10_000, affinity=COOKIE), ()),
        (vary(rule()), (b"X-A",)),
        (vary(rule(), affinity=COOKIE), (b"X-A",)),
        (vary(rule(percent=5_000), affinity=COOKIE), (b"X-A", b"Cookie")),
        (vary(rule("beta", subject="cookie"), rule("x-b"), weight=500, affinity=USER), (b"Cookie", b"X-B", b"X-User")),
        (vary(rule("beta", subject="cookie"), weight=500, affinity=COOKIE), (b"Cookie",)),
        (vary(rule("q", subject="query"), rule("/a", subject="path"), rule("GET", subject="method")), ()),
        (vary(rule(to="stable")), ()),
        (vary(rule(to="stable"), weight=10_000), (b"X-A",)),
        (vary(rule(), weight=10_000), ()),
        (vary(rule(percent=0)), ()),
        (vary(rule("host")), ()),
        (vary(rule(), rule(""), rule("x-b", "stable")), ()),
        (vary(rule(to="stable"), rule(""), rule("x-b")), (b"X-A",)),
        (vary(rule(), weight=500, affinity=COOKIE, aborted=True), ()),
        (vary(rule("x-p", preview=True), weight=500, affinity=COOKIE, aborted=True), (b"X-P",)),
        (vary(rule(), rule("x-p", preview=True), rule("x-b"), aborted=True), (b"X-A", b"X-P")),
        (vary(rule("x-p", "stable", preview=True), aborted=True), ()),
        (
            vary(*(rule(f"x-{number}") for number in range(MAX_NAMES))),
            tuple(b"X-%d" % number for number in range(MAX_NAMES)),
        ),
        (vary(*(rule(f"x-{number}") for number in range(MAX_NAMES + 1))), (b"*",)),
    ],
)
def test_fields_count_that_may_decide_while_both_versions_can_be_reached(
    found: tuple[bytes, ...], names: tuple[bytes, ...]
) -> None:
    assert found == names


RULES = st.lists(
    st.builds(
        rule,
        st.sampled_from(["x-a", "x-b", "x-c", ""]),
        st.sampled_from(["stable", "canary"]),
        st.sampled_from([0, 5_000, 10_000]),
        preview=st.booleans(),
    ),
    max_size=4,
)
KEYS = (b"user-1", b"user-2", b"user-3", b"user-4", b"user-5", b"user-6")


@given(RULES, st.sampled_from([0, 5_000, 10_000]), st.booleans(), st.booleans())
def test_whatever_makes_a_difference_is_named(rules: list[Rule], weight: int, aborted: bool, sticky: bool) -> None:
    """Requests that agree in all named fields get the same version."""
    route = Route(
        "shop",
        Version("stable", (Endpoint("a", 1),)),
        Version("canary", (Endpoint("b", 1),)),
        weight,
        rules=tuple(rules),
        affinity=USER if sticky else None,
        aborted=aborted,
    )
    index = RouteIndex(RoutingTable(1, (route,)))
    draws = any(0 < one.percent < 10_000 for one in rules) or 0 < weight < 10_000
    if draws and not sticky:
        return
    names = [name.lower() for name in vary(*rules, weight=weight, affinity=route.affinity, aborted=aborted)]
    seen: dict[tuple[bytes, ...], str] = {}
    for values in product((b"", b"1"), (b"", b"1"), (b"", b"1"), KEYS):
        fields = dict(zip((b"x-a", b"x-b", b"x-c", b"x-user"), values, strict=True))
        plain = b"".join(b"%b: %b\r\n" % field for field in fields.items() if field[1])
        decision = decide(index, head(plain), Client("192.0.2.7"), Splits(random.Random(1).random), idle)[0]
        known = seen.setdefault(tuple(fields[name] for name in names), decision.version.name)
        assert known == decision.version.name
