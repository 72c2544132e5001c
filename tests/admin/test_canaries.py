"""The canary of a route over the API."""

from pathlib import Path

import pytest

from canaryproxy.admin.api_call import tag
from canaryproxy.control.ports import Store
from canaryproxy.storage.sqlite import SqliteStore
from tests.admin.test_operations import RULE, call, refused
from tests.support.admin import Api

DOCS = "  docs: {hosts: [c.test], stable: 'http://127.0.0.1:1'}\n"
CANARY = "/{route}/canary"


async def gateway(store: Store | None = None) -> Api:
    return await Api(store=store, route=DOCS).start()


async def test_a_plain_route_says_so_everywhere() -> None:
    api = await gateway()
    route = (await call(api, "GET", "/{route}", route="docs")).body.model_dump()
    assert (route["canary"], route["canary_source"], route["endpoints"]["canary"]) == (None, "file", [])
    assert (route["weight"], route["phase"], route["verdict"]) == (0, "idle", "inconclusive")
    stats = (await call(api, "GET", "/{route}/stats", route="docs")).body.model_dump()
    assert (stats["versions"]["canary"], stats["versions"]["stable"]["requests"], stats["step"]) == (None, 0, None)
    analysis = (await call(api, "GET", "/{route}/analysis", route="docs")).body.model_dump()
    assert (analysis["verdict"], analysis["reason"]) == ("inconclusive", "the route has no canary")
    assert (await call(api, "GET", "/{route}/rollout", route="docs")).body.model_dump()["phase"] == "idle"
    assert (await call(api, "GET", "/{route}/rollout/report", route="docs")).body.model_dump()["comparison"] == []
    data = (await call(api, "GET", CANARY, route="docs")).body.model_dump()
    assert data == {"route": "docs", "canary": None, "source": "file"}
    assert (await call(api, "GET", CANARY)).body.model_dump()["canary"] == {"url": "http://127.0.0.1:2"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(
            ("POST", f"/{{route}}/rollout/{verb}", {})
            for verb in ("start", "pause", "resume", "promote", "abort", "retry", "reset")
        ),
        ("PUT", "/{route}/weight", {"canary": 0.01}),
        ("POST", "/{route}/rules", RULE),
        ("PUT", "/{route}/rules/{rule}", RULE),
        ("DELETE", CANARY, None),
    ],
)
async def test_what_needs_a_canary_is_refused_with_a_sentence(method: str, path: str, body: object) -> None:
    slug, detail = await refused(await gateway(), method, path, body, route="docs")
    assert (slug, detail) == (
        "no-canary",
        "docs has no canary; name one in the config, or with PUT /api/v1/routes/docs/canary",
    )


async def test_no_weight_and_rules_to_stable_need_none() -> None:
    api = await gateway()
    assert (await call(api, "PUT", "/{route}/weight", {"canary": 0}, route="docs")).status == 200
    rule = {"name": "old", "path": {"prefix": "/old"}, "to": "stable"}
    assert (await call(api, "POST", "/{route}/rules", rule, route="docs")).status == 201


async def test_a_canary_comes_and_goes_and_everyone_is_notified() -> None:
    api = await gateway()
    answer = await call(api, "PUT", CANARY, "http://127.0.0.1:3", route="docs")
    assert (answer.status, answer.body.model_dump()) == (
        201,
        {
            "route": "docs",
            "canary": {"url": "http://127.0.0.1:3"},
            "source": "api",
            "weight": 0.0,
            "phase": "idle",
            "generation": 2,
        },
    )
    assert answer.headers["ETag"] == tag(api.ledger.revision("docs"))
    more = {"endpoints": ["http://127.0.0.1:3", "http://127.0.0.1:4"], "health": {"path": "/ok"}, "keep_alive": "10s"}
    answer = await call(api, "PUT", CANARY, more, route="docs")
    assert (answer.status, answer.body.model_dump()["canary"]) == (200, more)
    assert (await call(api, "PUT", "/{route}/weight", {"canary": 5}, route="docs")).status == 200
    assert await refused(api, "DELETE", CANARY, route="docs") == (
        "illegal-phase",
        "the canary gets 5 %; set its weight to 0 before it is removed",
    )
    await call(api, "PUT", "/{route}/weight", {"canary": 0}, route="docs")
    await call(api, "POST", "/{route}/rules", RULE, route="docs")
    assert await refused(api, "DELETE", CANARY, route="docs") == (
        "illegal-phase",
        "rules reach the canary, remove them first: testers",
    )
    await call(api, "DELETE", "/{route}/rules/{rule}", route="docs")
    gone = await call(api, "DELETE", CANARY, route="docs")
    assert (gone.status, gone.body.model_dump()["canary"], gone.body.model_dump()["source"]) == (200, None, "api")
    assert (await call(api, "GET", "/{route}", route="docs")).body.model_dump()["canary_source"] == "api"


async def test_if_match_is_honoured() -> None:
    api = await gateway()
    seen = (await call(api, "GET", CANARY, route="docs")).headers["ETag"]
    await call(api, "PUT", CANARY, "http://127.0.0.1:3", route="docs", if_match=seen)
    for method, body in (("PUT", "http://127.0.0.1:4"), ("DELETE", None)):
        assert (await refused(api, method, CANARY, body, route="docs", if_match=seen))[0] == "revision-conflict"
    assert (await call(api, "GET", CANARY, route="docs")).body.model_dump()["canary"] == {"url": "http://127.0.0.1:3"}


@pytest.mark.parametrize("body", [None, 5, [], {}, "b", {"url": "http://b/x"}, {"url": "http://b", "weight": 5}])
async def test_what_is_no_canary_is_refused_and_changes_nothing(body: object) -> None:
    api = await gateway()
    slug, detail = await refused(api, "PUT", CANARY, body, route="docs")
    assert (slug, bool(detail)) == ("invalid", True)
    assert len(api.workers.tables) == 1


async def test_a_canary_of_the_api_is_there_after_a_restart(tmp_path: Path) -> None:
    first = await gateway(SqliteStore(tmp_path / "state.db"))
    await call(first, "PUT", CANARY, {"url": "http://127.0.0.1:3"}, route="docs")
    await first.close()
    again = await gateway(SqliteStore(tmp_path / "state.db"))
    assert again.workers.tables[-1].routes[1].versions[1].endpoints[0].port == 3
    assert (await call(again, "GET", CANARY, route="docs")).body.model_dump()["source"] == "api"
    assert again.judges.check_set("docs") is not None
    await again.close()


async def test_business_events_of_a_canary_that_there_is_not_are_refused() -> None:
    text = (
        "  docs: {hosts: [c.test], stable: 'http://127.0.0.1:1', affinity: cookie, goals: [{name: sale, path: /s}]}\n"
    )
    api = await Api(route=text).start()
    body = {"goal": "sale", "version": "canary"}
    assert (await refused(api, "POST", "/{route}/goals", body, route="docs"))[0] == "no-canary"
    assert (await refused(api, "POST", "/{route}/goals", {"goal": "sale", "key": "u"}, route="docs"))[
        0
    ] == "no-affinity"
    assert (
        await call(api, "POST", "/{route}/goals", {"goal": "sale", "version": "stable"}, route="docs")
    ).status == 200
    stats = (await call(api, "GET", "/{route}/stats", route="docs")).body.model_dump()["versions"]["stable"]
    assert (stats["users"], stats["goals"]["sale"]["events"], stats["goals"]["sale"]["users"]) == (None, 1, None)
