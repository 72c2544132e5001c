"""Business events reported from outside, and all of them in the stats."""

from typing import Any

import pytest

from canaryproxy.admin.problems import ApiError
from canaryproxy.model.report import Delta, GoalDelta, UsersDelta
from canaryproxy.routing.affinity import bucket_of
from canaryproxy.routing.hashing import Hash
from tests.admin.test_operations import call, refused
from tests.support.admin import Api

GOALS = "    affinity: cookie\n    goals: [{name: cart, path: /cart}, {name: purchase}]\n"
SALT = b"shop"


async def report(api: Api, **body: Any) -> dict[str, Any]:
    answer = await call(api, "POST", "/{route}/goals", body)
    return answer.body.model_dump()


async def stats(api: Api) -> dict[str, Any]:
    answer = await call(api, "GET", "/{route}/stats")
    return answer.body.model_dump()


async def test_an_event_of_a_version_is_counted_for_it() -> None:
    api = await Api(route=GOALS).start()
    api.served("canary", 10)
    assert await report(api, goal="purchase", value=19.5, version="canary") == {
        "route": "shop",
        "goal": "purchase",
        "version": "canary",
        "value": 19.5,
    }
    await report(api, goal="purchase", version="canary")
    data = (await stats(api))["versions"]["canary"]["goals"]
    assert data["purchase"] == {"events": 2, "value": 20.5, "users": 0, "per_request": 0.2, "per_user": None}
    assert data["cart"] == {"events": 0, "value": 0.0, "users": 0, "per_request": 0.0, "per_user": None}
    assert api.counters.sums("shop", "canary").goal_values == {"purchase": 20.5}


async def test_an_event_of_a_user_is_that_of_the_version_that_had_them_and_the_user_counts_once() -> None:
    api = await Api(route=GOALS).start()
    low = next(key for key in map(str, range(1_000)) if bucket_of(key.encode(), SALT) < 500)
    high = next(key for key in map(str, range(1_000)) if bucket_of(key.encode(), SALT) >= 500)
    assert (await report(api, goal="purchase", key=low))["version"] == "canary"
    assert (await report(api, goal="purchase", key=high))["version"] == "stable"
    users = frozenset((api.knowledge.numbers.of(Hash(SALT).of(high.encode())),))
    api.users.add(Delta(1, api.clock, users=(UsersDelta("shop", "canary", 500, 0, users),)), lambda _: 500)
    for _ in range(2):
        assert (await report(api, goal="purchase", key=high))["version"] == "canary"
    data = (await stats(api))["versions"]["canary"]
    assert (data["users"], data["goals"]["purchase"]["events"], data["goals"]["purchase"]["users"]) == (1, 3, 2)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"goal": "cart", "version": None, "key": "a"}, "version: leave the field out"),
        ({"goal": "cart", "key": "\ud800"}, "key"),
        ({"goal": "cart"}, "give either `version` or `key`"),
        ({"goal": "cart", "version": "canary", "key": "a"}, "give either `version` or `key`"),
        ({"goal": "cart", "version": "beta"}, "version"),
        ({"goal": "cart", "key": ""}, "key"),
        ({"goal": "cart", "version": "canary", "value": -1}, "value"),
        ({"goal": "cart", "version": "canary", "value": True}, "value"),
        ({"goal": "cart", "version": "canary", "value": "1"}, "value"),
        ({"goal": "cart", "version": "canary", "value": float("nan")}, "value"),
        ({"goal": "cart", "version": "canary", "value": 1e10}, "value"),
        ({"goal": "cart", "version": "canary", "when": 1}, "when"),
        ({}, "goal"),
        ([], "body"),
    ],
)
async def test_what_is_no_event_is_refused_and_counts_nothing(body: Any, said: str) -> None:
    api = await Api(route=GOALS).start()
    slug, detail = await refused(api, "POST", "/{route}/goals", body)
    assert slug == "invalid"
    assert said in detail
    assert not api.counters.by_side


async def test_without_affinity_there_are_no_users() -> None:
    api = await Api(route="    goals: [{name: cart}]\n").start()
    assert (await refused(api, "POST", "/{route}/goals", {"goal": "cart", "key": "a"}))[0] == "no-affinity"
    slug, detail = await refused(api, "POST", "/{route}/goals", {"goal": "sale", "version": "canary"})
    assert (slug, detail) == ("no-such-goal", "goals of shop are: cart")
    data = await stats(api)
    assert data["step"] is None
    assert (data["versions"]["canary"]["users"], data["versions"]["canary"]["goals"]["cart"]["users"]) == (None, None)
    with pytest.raises(ApiError):
        await call(api, "POST", "/{route}/goals", {"goal": "cart", "version": "canary"}, route="none")


async def test_what_the_traffic_showed_is_reported_by_request_and_by_user() -> None:
    api = await Api(route=GOALS).start()
    api.served("stable", 100)
    seen = UsersDelta("shop", "stable", 500, 0, frozenset(range(1, 21)), frozenset((3,)))
    event = GoalDelta("shop", "stable", "cart", True, 10, 10.0, {}, 0, dict.fromkeys(range(1, 6), 2.0))
    by_rule = GoalDelta("shop", "stable", "cart", False, 7, 7.0)
    data = Delta(1, api.clock, users=(seen,), goals=(event, by_rule))
    api.counters.add(0, data)
    api.window.add(data)
    api.users.add(data, lambda _: 500)
    api.clock += 5
    found = await stats(api)
    stable = found["versions"]["stable"]
    assert (stable["users"], stable["users_failed"], stable["users_error"]) == (20, 1, 0.0)
    assert stable["goals"]["cart"] == {"events": 10, "value": 10.0, "users": 5, "per_request": 0.1, "per_user": 0.25}
    assert found["step"] == {
        "weight": 5.0,
        "seconds": 5.0,
        "stable": {"users": 20, "failed": 1, "error": 0.0},
        "canary": {"users": 0, "failed": 0, "error": 0.0},
    }
    assert api.counters.sums("shop", "stable").goal_events == {"cart": 17}
