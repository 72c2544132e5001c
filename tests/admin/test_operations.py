"""What the calls do: weights, rules, revisions, failures to keep or to acknowledge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.admin import rules
from canaryproxy.admin.api_call import ApiCall, ApiResponse, tag
from canaryproxy.admin.operation import Operation
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.admin.problems import ApiError
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.route_states import Actor
from canaryproxy.control.state import Audit, State
from canaryproxy.storage.memory import MemoryStore
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.admin import Api, FakeWorkers

RULE = {"name": "testers", "headers": {"x-internal-tester": "true"}, "to": "canary"}


class Full(MemoryStore):
    """A disk that is full."""

    def save(self, _: State, audits: Sequence[Audit] = ()) -> None:
        raise UnwritableStateError("no space left")

    def history(self, route: str, limit: int) -> list[Audit]:
        raise UnwritableStateError("no disk")


async def call(api: Api, method: str, path: str, body: Any = None, **more: Any) -> ApiResponse:
    """An operation by its method and the last part of its path; names in `more`."""
    full = f"/api/v1/routes{path}"
    operation = next(one for one in OPERATIONS if (one.method, one.path) == (method, full))
    names = {"route": more.pop("route", "shop"), "rule": more.pop("rule", "testers")}
    return await operation.run(
        ApiCall(api.knowledge, Actor("ci", "write"), names, more.pop("query", {}), body, more.pop("if_match", None))
    )


async def refused(api: Api, method: str, path: str, body: Any = None, **more: Any) -> tuple[str, str]:
    with pytest.raises(ApiError) as problem:
        await call(api, method, path, body, **more)
    return problem.value.slug, problem.value.detail


async def test_a_weight_is_kept_published_and_waited_for() -> None:
    api = await Api().start()
    answer = await call(api, "PUT", "/{route}/weight", {"canary": 12.5})
    assert answer.body.model_dump() == {
        "route": "shop",
        "canary": 12.5,
        "stable": 87.5,
        "generation": 2,
        "source": "api",
    }
    assert api.workers.tables[-1].routes[0].weight == 1250
    state = (await call(api, "GET", "/{route}")).body.model_dump()
    assert (state["weight"], state["source"], state["phase"], state["generation"]) == (12.5, "api", "idle", 2)


@pytest.mark.parametrize("weight", [0.30000000000000004, 0.57, 100, 0, 99.99])
async def test_sums_of_floats_are_understood(weight: float) -> None:
    api = await Api().start()
    answer = await call(api, "PUT", "/{route}/weight", {"canary": weight})
    assert answer.body.model_dump()["canary"] == round(weight, 2)


async def test_a_stale_revision_is_refused() -> None:
    api = await Api().start()
    seen = (await call(api, "GET", "/{route}")).headers["ETag"]
    assert seen == tag(api.ledger.revision("shop"))
    changed = await call(api, "PUT", "/{route}/weight", {"canary": 1}, if_match=seen)
    assert changed.headers["ETag"] != seen
    assert (await refused(api, "PUT", "/{route}/weight", {"canary": 2}, if_match=seen))[0] == "revision-conflict"
    await call(api, "PUT", "/{route}/weight", {"canary": 2}, if_match=f'"x", {changed.headers["ETag"]}')
    await call(api, "PUT", "/{route}/weight", {"canary": 3}, if_match="*")


async def test_a_tag_from_before_a_restart_is_good_after_it(tmp_path: Path) -> None:
    first = await Api(store=SqliteStore(tmp_path / "state.db")).start()
    changed = await call(first, "PUT", "/{route}/weight", {"canary": 1})
    seen = changed.headers["ETag"]
    await first.close()
    again = await Api(store=SqliteStore(tmp_path / "state.db")).start()
    assert (await call(again, "GET", "/{route}")).headers["ETag"] == seen
    await call(again, "PUT", "/{route}/weight", {"canary": 2}, if_match=seen)
    assert (await refused(again, "PUT", "/{route}/weight", {"canary": 3}, if_match=seen))[0] == "revision-conflict"
    await again.close()


BODIES = {
    "weight": {"canary": 1},
    "rules": RULE,
    "{rule}": RULE,
    "canary": "http://b",
    "goals": {"goal": "buy", "version": "canary"},
}
CHANGES = [one for one in OPERATIONS if one.role == "write"]


@pytest.mark.parametrize("operation", CHANGES, ids=lambda one: f"{one.method} {one.path}")
async def test_every_change_honours_if_match_and_a_stale_one_changes_nothing(operation: Operation) -> None:
    api = await Api(route="    goals: [{name: buy, path: /buy}]\n").start()
    path = operation.path.removeprefix("/api/v1/routes")
    body: Any = BODIES.get(path.rsplit("/", 1)[1], {})
    before = api.ledger.state["shop"]
    for stale in ('"00000000-0"', '"", "x"', f"W/{tag(api.ledger.revision('shop'))}"):
        with pytest.raises(ApiError) as problem:
            await call(api, operation.method, path, body, if_match=stale)
        assert problem.value.slug == "revision-conflict"
        assert problem.value.headers["ETag"] == tag(api.ledger.revision("shop"))
    for malformed in ("", "x", '"a', '"a" "b"', '*, "a"', 'w/"a"', "1"):
        assert (await refused(api, operation.method, path, body, if_match=malformed))[0] == "malformed"
    assert api.ledger.state["shop"] is before
    assert "revision-conflict" in operation.problems
    assert "malformed" in operation.problems


@pytest.mark.parametrize("form", ["{}", '"x,y",{}', '{} , "x"', 'W/"a",, {} ,', "*"])
async def test_a_tag_of_now_lets_a_change_through_however_it_is_listed(form: str) -> None:
    api = await Api().start()
    seen = tag(api.ledger.revision("shop"))
    answer = await call(api, "POST", "/{route}/rollout/start", {}, if_match=form.format(seen))
    assert answer.headers["ETag"] == tag(api.ledger.revision("shop")) != seen


async def test_the_same_request_again_is_stale_and_moves_nothing_twice() -> None:
    api = await Api().start()
    seen = (await call(api, "POST", "/{route}/rollout/start", {})).headers["ETag"]
    for verb in ("promote", "promote", "pause", "abort"):
        path = f"/{{route}}/rollout/{verb}"
        after = (await call(api, "POST", path, {}, if_match=seen)).headers["ETag"]
        assert (await refused(api, "POST", path, {}, if_match=seen))[0] == "revision-conflict"
        seen = after
    assert (api.ledger.state["shop"].rollout.step, api.ledger.state["shop"].rollout.phase) == (2, "rolled_back")


async def test_what_cannot_be_kept_is_not_done() -> None:
    api = await Api(store=Full()).start()
    assert await refused(api, "PUT", "/{route}/weight", {"canary": 50}) == (
        "state-unwritable",
        "nothing was changed: no space left",
    )
    assert api.workers.tables[-1].routes[0].weight == 500
    assert (await refused(api, "GET", "/{route}/history"))[0] == "state-unwritable"


async def test_what_is_not_acknowledged_is_said_to_be_kept() -> None:
    api = await Api().start()
    api.workers.slow = True
    slug, detail = await refused(api, "PUT", "/{route}/weight", {"canary": 50})
    assert (slug, detail) == (
        "not-acknowledged",
        "stored and published, but not every worker has acknowledged generation 2",
    )
    assert api.workers.tables[-1].routes[0].weight == 5000


async def test_rules_are_added_replaced_in_place_and_removed() -> None:
    api = await Api(route="    rules: [{name: first, to: stable, methods: [POST]}]\n").start()
    added = await call(api, "POST", "/{route}/rules", RULE)
    assert (added.status, [rule["name"] for rule in added.body.model_dump()["rules"]]) == (201, ["first", "testers"])
    replaced = await call(api, "PUT", "/{route}/rules/{rule}", {"name": "first", "to": "canary"}, rule="first")
    assert (replaced.status, replaced.body.model_dump()["rules"]) == (200, [{"name": "first", "to": "canary"}, RULE])
    assert [rule.name for rule in api.workers.tables[-1].routes[0].rules] == ["first", "testers"]
    new = await call(api, "PUT", "/{route}/rules/{rule}", {"name": "new", "to": "canary"}, rule="new")
    assert new.status == 201
    removed = await call(api, "DELETE", "/{route}/rules/{rule}", rule="first")
    assert removed.body.model_dump()["source"] == "api"
    listed = (await call(api, "GET", "/{route}/rules")).body.model_dump()
    assert [rule["name"] for rule in listed["rules"]] == ["testers", "new"]


async def test_rules_that_cannot_be_are_reported_where_and_why() -> None:
    api = await Api().start()
    await call(api, "POST", "/{route}/rules", RULE)
    assert (await refused(api, "POST", "/{route}/rules", RULE))[0] == "rule-exists"
    assert (await refused(api, "DELETE", "/{route}/rules/{rule}", rule="nope"))[0] == "no-such-rule"
    slug, detail = await refused(api, "POST", "/{route}/rules", {"name": "x", "to": "moon", "colour": 1})
    assert (slug, detail) == ("invalid", "to: expected stable or canary; colour: is not a known key")
    assert "headers.cookie" in (await refused(api, "POST", "/{route}/rules", {**RULE, "headers": {"cookie": "a"}}))[1]
    assert "name: is missing" in (await refused(api, "PUT", "/{route}/rules/{rule}", {"to": "canary"}))[1]
    assert (await refused(api, "PUT", "/{route}/rules/{rule}", RULE, rule="other"))[0] == "rule-name"
    assert (await refused(api, "POST", "/{route}/rules", [RULE]))[0] == "invalid"
    assert (await refused(api, "GET", "/{route}", route="nope"))[1] == "routes are: shop, blog"


async def test_stats_of_the_last_seconds() -> None:
    api = await Api().start()
    api.served("canary", 40, 2)
    api.served("stable", 60)
    data = (await call(api, "GET", "/{route}/stats")).body.model_dump()
    canary = data["versions"]["canary"]
    assert (data["window"], canary["requests"], canary["errors"], canary["error_rate"]) == (60.0, 40, 2, 0.05)
    assert canary["p50"] == pytest.approx(2 ** (-191.5 / 32))
    assert (canary["in_flight"], canary["users"], canary["goals"]) == (1, None, {})
    assert (await call(api, "GET", "/{route}")).body.model_dump()["observed_weight"] == 40.0
    api.clock += 300
    quiet = (await call(api, "GET", "/{route}/stats", query={"window": "10s"})).body.model_dump()["versions"]["canary"]
    assert (quiet["requests"], quiet["error_rate"], quiet["mean"], quiet["p99"]) == (0, None, None, None)
    assert (await refused(api, "GET", "/{route}/stats", query={"window": "2h"}))[0] == "invalid"
    assert (await refused(api, "GET", "/{route}/history", query={"limit": "0"}))[0] == "invalid"


async def test_an_answer_tells_of_its_own_change_though_another_one_follows() -> None:
    api = await Api().start()
    operator = Actor("other", "write")

    async def meanwhile(_: int) -> None:
        api.workers.acknowledged = FakeWorkers().acknowledged  # type: ignore[method-assign]
        await api.controller.set_weight("shop", 9900, operator)
        await api.controller.set_rules("shop", lambda _: (), operator)

    api.workers.acknowledged = meanwhile  # type: ignore[method-assign, assignment]
    answer = await call(api, "PUT", "/{route}/weight", {"canary": 1})
    assert (answer.body.model_dump()["canary"], answer.body.model_dump()["generation"]) == (1.0, 2)
    assert (await refused(api, "PUT", "/{route}/weight", {"canary": 2}, if_match=answer.headers["ETag"]))[
        0
    ] == "revision-conflict"
    api.workers.acknowledged = meanwhile  # type: ignore[method-assign, assignment]
    added = await call(api, "POST", "/{route}/rules", RULE)
    assert added.body.model_dump()["rules"] == [RULE]
    assert api.controller.rules("shop") == ()


async def test_an_empty_id_of_a_rollout_is_invalid_and_null_is_whichever_there_is() -> None:
    api = await Api().start()
    assert (await refused(api, "POST", "/{route}/rollout/abort", {"rollout_id": ""}))[0] == "invalid"
    answer = await call(api, "POST", "/{route}/rollout/abort", {"rollout_id": None})
    assert getattr(answer.body, "phase", "") == "rolled_back"


async def test_a_route_that_leaves_the_config_at_that_moment_is_a_404() -> None:
    api = await Api().start()
    del api.ledger.state["shop"]
    assert (await refused(api, "PUT", "/{route}/weight", {"canary": 1}))[0] == "no-such-route"


async def test_there_is_a_number_of_rules_that_a_route_cannot_exceed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_RULES", 1)
    api = await Api().start()
    await call(api, "POST", "/{route}/rules", RULE)
    for method, path in (("POST", "/{route}/rules"), ("PUT", "/{route}/rules/{rule}")):
        assert await refused(api, method, path, {**RULE, "name": "b"}, rule="b") == (
            "invalid",
            "a route has at most 1 rules",
        )
    await call(api, "PUT", "/{route}/rules/{rule}", {**RULE, "to": "stable"})
