"""The API over HTTP: who may do what, what is refused and how, and that nothing is changed by it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, make_mocked_request
from aiohttp.web import Application

from canaryproxy import MODE
from canaryproxy.admin import app as application
from canaryproxy.admin.app import MAX_BODY_BYTES, admin_application, probes_application
from canaryproxy.admin.problems import TITLES
from tests.support.admin import READ, TOKENS, WRITE, Api, until

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]
JSON = {"Content-Type": "application/json"}
WEIGHT = "/api/v1/routes/shop/weight"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "LATE_SECONDS", 0.0)


async def problem(response: ClientResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    data = json.loads(await response.read())
    assert data["status"] == response.status
    slug = data["type"].removeprefix("urn:canaryproxy:problem:")
    assert TITLES[slug] == (response.status, data["title"])
    return response.status, slug


async def test_health_readiness_and_metrics_are_open(aiohttp_client: Client) -> None:
    api = await Api(TOKENS).start()
    api.served("canary", 10, 2)
    for app in (admin_application(api.knowledge, api.gate), probes_application(api.knowledge)):
        client = await aiohttp_client(app)
        assert (await client.get("/healthz")).status == 200
        assert await (await client.get("/readyz")).json() == {"status": "ready", "workers": 2, "listen": []}
        metrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert metrics.headers["Content-Type"].startswith("application/openmetrics-text")
        text = await metrics.text()
        assert f'mode="{MODE.label}"' in text
        assert text.endswith("# EOF\n")
        assert 'canaryproxy_requests_total{code="500",route="shop",version="canary"} 2.0' in text
    assert (await client.get("/api/v1/routes")).status == 404


async def test_what_is_asked_before_the_state_is_read_is_asked_to_come_again(aiohttp_client: Client) -> None:
    api = Api()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    for path in ("routes", "routes/shop", "routes/shop/rollout", "routes/shop/canary", "routes/shop/stats?window=10s"):
        response = await client.get(f"/api/v1/{path}")
        assert (response.headers["Retry-After"], await problem(response)) == ("1", (503, "not-ready"))
    response = await client.post("/api/v1/routes/shop/rollout/abort")
    assert await problem(response) == (503, "not-ready")
    assert (await client.get("/metrics")).status == 200
    await api.ledger.load(api.topology.config)
    assert (await client.get("/api/v1/routes/shop")).status == 200
    response = await client.put("/api/v1/routes/shop/weight", json={"canary": 1})
    assert await problem(response) == (503, "not-ready")
    await api.start()
    assert (await client.put("/api/v1/routes/shop/weight", json={"canary": 1})).status == 200


async def test_not_ready_without_workers_or_while_draining(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    api.workers.draining = True
    assert await problem(await client.get("/readyz")) == (503, "not-ready")
    api.workers.draining, api.workers.ready = False, 0
    assert await problem(await client.get("/readyz")) == (503, "not-ready")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic abc"}, READ])
async def test_without_a_write_token_nothing_changes(headers: dict[str, str], aiohttp_client: Client) -> None:
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    changes: list[tuple[str, str, Any]] = [
        ("PUT", WEIGHT, {"canary": 50}),
        ("POST", "/api/v1/routes/shop/rules", {"name": "a", "to": "canary"}),
        ("PUT", "/api/v1/routes/shop/rules/a", {"name": "a", "to": "canary"}),
        ("DELETE", "/api/v1/routes/shop/rules/a", None),
    ]
    for method, path, body in changes:
        response = await client.request(method, path, json=body, headers=headers)
        assert await problem(response) in ((401, "unauthenticated"), (403, "forbidden"))
    assert len(api.workers.tables) == 1
    assert api.store.history("shop", 10) == []


async def test_the_history_names_who_did_what(aiohttp_client: Client) -> None:
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert (await client.put(WEIGHT, json={"canary": 12.5}, headers=WRITE)).status == 200
    data = await (await client.get("/api/v1/routes/shop/history", headers=READ)).json()
    assert [(one["actor"], one["action"], one["detail"], one["at"]) for one in data["entries"]] == [
        ("ci", "weight", "5 -> 12.5", "2027-01-15T08:00:00.500Z")
    ]


async def test_failed_logins_do_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first have a line each, of the others their number is said, and then it begins again."""
    monkeypatch.setattr(application, "LOG_PERIOD_SECONDS", 3600.0)
    failures, request = application.FailureLog(), make_mocked_request("GET", "/api/v1/routes")
    for _ in range(2):
        caplog.clear()
        for _ in range(100):
            failures.record(request)
        timer = failures._over
        assert timer is not None
        timer.cancel()
        failures._log_again()
        lines = [record.getMessage() for record in caplog.records]
        assert sum(": GET /api/v1/routes" in line for line in lines) == application.MAX_LOGGED
        assert lines[application.MAX_LOGGED :] == ["90 more logins failed in 3600 s"]


async def test_failed_logins_are_slowed_a_good_token_never_is(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(application, "MAX_LATE", 3)
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    loop = asyncio.get_running_loop()
    began = loop.time()
    wrong = [loop.create_task(client.get("/api/v1/routes", headers={"Authorization": "Bearer x"})) for _ in range(5)]
    await until(lambda: caplog.text.count("login from 127.0.0.1 failed") == 5)
    assert (await client.get("/api/v1/routes", headers=WRITE)).status == 200
    assert loop.time() - began < 0.2
    answers = sorted([await problem(await one) for one in wrong])
    assert answers == [(401, "unauthenticated")] * 3 + [(429, "too-many-requests")] * 2
    assert loop.time() - began >= 0.2
    assert "Bearer" not in caplog.text


async def test_a_web_page_cannot_use_its_visitors_browser(aiohttp_client: Client) -> None:
    api = await Api("hosts: [ops.test]").start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert await problem(await client.get("/api/v1/routes", headers={"Host": "evil.test"})) == (421, "unknown-host")
    assert (await client.get("/api/v1/routes", headers={"Host": "ops.test"})).status == 200
    assert (await client.get("/api/v1/routes", headers={"Host": "[::1]:9900"})).status == 200
    response = await client.put(WEIGHT, json={"canary": 1}, headers={"Origin": "https://evil.test"})
    assert await problem(response) == (403, "cross-site")
    response = await client.put(WEIGHT, data='{"canary": 1}', headers={"Content-Type": "text/plain"})
    assert await problem(response) == (415, "not-json")
    assert len(api.workers.tables) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", "malformed"),
        (b"\xff{}", "malformed"),
        (b"", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b"{}", "invalid"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b'{"canary": "5"}', "invalid"),
        (b'{"canary": true}', "invalid"),
        (b'{"canary": NaN}', "invalid"),
        (b'{"canary": 0.001}', "invalid"),
        (b'{"canary": -1}', "invalid"),
        (b'{"canary": 100.01}', "invalid"),
        (b'{"canary": 1e999}', "invalid"),
        (b'{"canary": 5, "stable": 95}', "invalid"),
        (b'{"canary": 1' + b"0" * 400 + b"}", "invalid"),
        (b" " * (MAX_BODY_BYTES + 1), "too-large"),
    ],
)
async def test_what_is_no_weight_is_refused_and_changes_nothing(
    body: bytes, expected: str, aiohttp_client: Client
) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    response = await client.put(WEIGHT, data=body, headers=JSON)
    assert (await problem(response))[1] == expected
    assert len(api.workers.tables) == 1


async def test_a_body_that_does_not_come_is_not_waited_for(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "BODY_TIMEOUT_SECONDS", 0.02)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        f"PUT {WEIGHT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    assert b" 408 " in await reader.readline()
    writer.close()


async def test_paths_and_methods_that_are_not_there_are_problems(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert await problem(await client.get("/nothing")) == (404, "not-found")
    assert await problem(await client.post("/api/v1/routes/shop/rollout/fly")) == (404, "not-found")
    assert await problem(await client.get("/api/v1/routes/nope")) == (404, "no-such-route")
    response = await client.delete("/api/v1/routes")
    assert response.headers["Allow"] == "GET, HEAD"
    assert await problem(response) == (405, "method-not-allowed")
    assert (await client.head("/api/v1/routes")).status == 200


async def test_a_fault_of_ours_is_a_problem_without_its_entrails(
    aiohttp_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    del api.ledger.state["shop"]
    response = await client.get("/api/v1/routes/shop")
    assert "KeyError" not in await response.text()
    assert await problem(response) == (500, "internal-error")
    assert "KeyError" in caplog.text


async def test_documentation_and_events(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert (await (await client.get("/openapi.json")).json())["openapi"] == "3.1.0"
    page = await client.get("/docs")
    assert (page.content_type, "default-src 'none'" in page.headers["Content-Security-Policy"]) == ("text/html", True)
    assert "/api/v1/routes/{route}/weight" in await page.text()
    stream = await client.get("/api/v1/events")
    assert await stream.content.readline() == b"retry: 2000\n"
    await client.put(WEIGHT, json={"canary": 20})
    document = b""
    async with asyncio.timeout(60):
        while b"data:" not in document:
            document = await stream.content.readline()
    data = json.loads(document.removeprefix(b"data: "))
    assert (data["route"], data["weight"], data["actor"], data["generation"]) == ("shop", 20.0, "anyone", 2)
    api.events.close()
    await stream.content.read()
    await until(lambda: "0 listeners" in repr(api.events))


async def test_a_client_that_expects_a_100_gets_it(aiohttp_client: Client) -> None:
    """As curl does with more than a kilobyte of body."""
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        f"PUT {WEIGHT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
        "Expect: 100-continue\r\n\r\n".encode()
    )
    async with asyncio.timeout(60):
        assert b" 100 " in await reader.readline()
        await reader.readline()
        writer.write(b'{"canary": 9}')
        assert b" 200 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "a b", "127.0.0.1:x"])
async def test_a_host_that_is_none_is_refused_and_no_fault_of_ours(host: str, aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    response = await client.get("/api/v1/routes", headers={"Host": host, "Origin": "http://["})
    assert response.status in (400, 403, 421)


async def test_events_have_no_head(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert (await client.head("/api/v1/events")).status == 405


async def test_a_rollout_is_driven_by_its_verbs_with_a_body_or_without(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    path = "/api/v1/routes/shop/rollout"
    data = await (await client.get(path)).json()
    assert (data["phase"], data["step"], data["steps"]) == ("idle", None, [1, 5, 25, 50, 100])
    started = await client.post(f"{path}/start")
    data = await started.json()
    assert (started.status, data["phase"], data["step"], data["weight"], data["next"]) == (200, "progressing", 0, 1, 5)
    assert data["not_before"] == data["since"] + 60
    assert started.headers["ETag"]
    assert await problem(await client.post(f"{path}/start", json={})) == (409, "illegal-phase")
    assert await problem(await client.put("/api/v1/routes/shop/weight", json={"canary": 5})) == (409, "illegal-phase")
    data = await (await client.get("/api/v1/routes/shop")).json()
    assert (data["phase"], data["step"], data["source"], data["weight"]) == ("progressing", 0, "rollout", 1)
    assert (await (await client.post(f"{path}/pause", json={})).json())["reason"] == "manual"
    assert await problem(await client.post(f"{path}/promote", json={"full": "yes"})) == (422, "invalid")
    assert await problem(await client.post(f"{path}/promote", json={"ful": True})) == (422, "invalid")
    assert await problem(await client.post(f"{path}/promote", data=b"x")) == (415, "not-json")
    nothing = await client.post(f"{path}/promote", data=b"null", headers={"Content-Type": "application/json"})
    assert await problem(nothing) == (422, "invalid")
    assert (await (await client.post(f"{path}/promote", json={"full": True})).json())["phase"] == "baking"
    data = await (await client.post(f"{path}/abort")).json()
    assert (data["phase"], data["reason"], data["weight"], data["durable"]) == ("rolled_back", "manual", 0, True)
    assert (await client.post(f"{path}/abort")).status == 200
    text = await (await client.get("/metrics")).text()
    assert 'canaryproxy_rollout_phase{phase="rolled_back",route="shop"} 1.0' in text
    assert 'canaryproxy_rollout_step{route="blog"} -1.0' in text
    assert 'canaryproxy_rollouts_total{reason="manual",result="rolled_back",route="shop"} 1.0' in text
    assert 'canaryproxy_rollouts_total{reason="verdict",result="rolled_back",route="blog"} 0.0' in text
    assert (await (await client.post(f"{path}/reset")).json())["phase"] == "idle"
    assert await problem(await client.post("/api/v1/routes/nope/rollout/abort")) == (404, "no-such-route")
