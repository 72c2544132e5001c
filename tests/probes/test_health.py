"""Active health checks. H63."""

import asyncio
import logging

import pytest
from aiohttp import web

from bench.ports import free_port
from canaryproxy.config import parse
from canaryproxy.dataplane.tls import client_context
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.failure_reasons import Reason, answered
from canaryproxy.probes.health import (
    MAX_VERSION_LENGTH,
    Health,
    HealthAnswer,
    HealthCheckSpec,
    HealthFinding,
    Streak,
    checks,
    found,
    over_http,
)
from tests.dataplane.test_tls import OURS
from tests.support.secure import secure_server


def test_a_side_changes_after_so_many_results_in_a_row() -> None:
    streak = Streak(HealthCheckSpec("/", unhealthy=3, healthy=2))
    results = [False, False, True, False, False, False, True, False, True, True]
    changes = [streak.add(passed=passed) for passed in results]
    assert changes == [False] * 5 + [True] + [False] * 3 + [True]
    assert streak.healthy


ONE, TWO = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)
FAST = HealthCheckSpec("/", interval=0.005, unhealthy=2)


async def until(true: object) -> None:
    async with asyncio.timeout(60):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_an_error_of_ours_neither_ends_the_checks_nor_makes_an_endpoint_unhealthy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = 0

    async def ask(_: Endpoint, __: HealthCheckSpec) -> HealthAnswer:
        nonlocal asked
        asked += 1
        if asked < 10:
            raise RuntimeError("entrails")
        return HealthAnswer(passed=True)

    health = Health(lambda: None, ask, lambda: 7.0)
    health.watch({ONE: FAST})
    await until(lambda: asked > 10)
    assert not health.unhealthy
    assert health.findings[ONE].passed
    assert "internal error while checking" in caplog.text
    health.stop()


async def test_an_endpoint_that_fails_is_unhealthy_until_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    ill: set[Endpoint] = set()
    refused = HealthAnswer(passed=False, reason=Reason("refused", "connection refused"))
    changes: list[frozenset[Endpoint]] = []

    async def ask(endpoint: Endpoint, _: HealthCheckSpec) -> HealthAnswer:
        return refused if endpoint in ill else HealthAnswer(passed=True)

    health = Health(lambda: changes.append(health.unhealthy), ask, lambda: 7.0)
    health.watch({ONE: FAST, TWO: FAST})
    ill.add(TWO)
    await until(lambda: health.unhealthy == {TWO})
    ill.clear()
    await until(lambda: not health.unhealthy)
    assert changes == [frozenset((TWO,)), frozenset()]
    assert "10.0.0.2:1 is unhealthy (/): connection refused, 2 in a row" in caplog.text
    assert "10.0.0.2:1 is healthy again" in caplog.text
    ill.add(ONE)
    await until(lambda: health.unhealthy == {ONE})
    health.watch({TWO: FAST})
    assert not health.unhealthy
    health.stop()


async def test_what_we_lack_ourselves_makes_no_endpoint_unhealthy(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Endpoint] = []
    ours = HealthAnswer(passed=False, reason=Reason("ours", "local failure: Too many open files"))

    async def ask(endpoint: Endpoint, _: HealthCheckSpec) -> HealthAnswer:
        asked.append(endpoint)
        return ours

    health = Health(lambda: None, ask, lambda: 7.0)
    health.watch({ONE: FAST, TWO: FAST})
    await until(lambda: len(asked) > 10)
    health.stop()
    assert not health.unhealthy
    assert not health.findings
    assert caplog.text.count("health checks fail because of a local resource") == 1


async def answer(request: web.Request) -> web.Response:
    status = int(request.path.removeprefix("/"))
    headers = {"Location": "/500"} if status == 302 else {}
    return web.Response(status=status, headers=headers, text=request.headers["Host"])


@pytest.mark.parametrize(
    ("path", "healthy"), [("/200", True), ("/204", True), ("/302", True), ("/404", False), ("/503", False)]
)
async def test_any_status_from_200_to_399_is_healthy_and_redirects_are_not_followed(
    path: str, healthy: bool, aiohttp_server: object
) -> None:
    app = web.Application()
    app.router.add_get("/{status}", answer)
    server = await aiohttp_server(app)  # type: ignore[operator]
    endpoint = Endpoint("127.0.0.1", server.port, "shop.internal")
    data = await over_http(client_context)(endpoint, HealthCheckSpec(path))
    assert data == HealthAnswer(healthy, reason=None if healthy else answered(int(path[1:])))


async def test_no_one_there_is_unhealthy_and_so_is_silence_and_a_wrong_certificate() -> None:
    ask = over_http(client_context)
    assert not (await ask(Endpoint("127.0.0.1", free_port()), HealthCheckSpec("/"))).passed

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.release()

    gone = asyncio.Semaphore(0)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert not (await ask(Endpoint("127.0.0.1", port), HealthCheckSpec("/", timeout=0.05))).passed
    secure = Endpoint("127.0.0.1", port, tls=UpstreamTls("shop.internal", OURS.pem))
    assert not (await ask(secure, HealthCheckSpec("/", timeout=0.05))).passed
    for _ in range(2):
        await gone.acquire()
    server.close()


async def test_an_endpoint_may_tell_its_version(aiohttp_server: object) -> None:
    app = web.Application()

    async def data(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Version": "2.1"})

    app.router.add_get("/", data)
    server = await aiohttp_server(app)  # type: ignore[operator]
    endpoint = Endpoint("127.0.0.1", server.port)
    asked = HealthCheckSpec("/", interval=0.005, version_header="x-version")
    assert await over_http(client_context)(endpoint, asked) == HealthAnswer(passed=True, version="2.1")
    health = Health(lambda: None, over_http(client_context), lambda: 7.0)
    health.watch({endpoint: asked})
    await until(lambda: health.versions == {endpoint: "2.1"})
    health.watch({})
    assert not health.versions


def test_what_was_found_counts_from_the_first_of_its_kind() -> None:
    failed, other = (HealthAnswer(passed=False, reason=answered(status)) for status in (500, 503))
    first = found(None, failed, 1.0)
    assert first == HealthFinding(answered(500), 1, since=1.0, at=1.0)
    second = found(first, other, 3.0)
    assert second == HealthFinding(answered(503), 2, since=1.0, at=3.0)
    assert found(second, HealthAnswer(passed=True), 5.0) == HealthFinding(None, 1, since=5.0, at=5.0)
    assert found(None, HealthAnswer(passed=False), 1.0).reason == Reason("other", "it failed")


async def test_a_check_that_is_edited_goes_on_from_what_was_known_of_the_endpoint() -> None:
    good = asyncio.Event()

    async def ask(_: Endpoint, check: HealthCheckSpec) -> HealthAnswer:
        return HealthAnswer(passed=good.is_set())

    health = Health(lambda: None, ask, lambda: 7.0)
    health.watch({ONE: FAST})
    await until(lambda: health.unhealthy == {ONE})
    health.watch({ONE: HealthCheckSpec("/other", interval=0.005)})
    assert health.unhealthy == {ONE}
    good.set()
    await until(lambda: not health.unhealthy)
    health.stop()


async def test_failures_that_go_on_are_said_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter(range(10_000))
    asked = 0

    async def ask(_: Endpoint, check: HealthCheckSpec) -> HealthAnswer:
        nonlocal asked
        asked += 1
        return HealthAnswer(passed=False, reason=answered(503))

    health = Health(lambda: None, ask, lambda: float(next(clock)))
    health.watch({ONE: HealthCheckSpec("/", interval=0.0001, unhealthy=100)})
    await until(lambda: asked >= 150)
    health.stop()
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "a health check of endpoint 10.0.0.1:1 (/) failed: HTTP status 503, 1 in a row, still healthy"
    assert said[1].endswith("61 in a row, still healthy")
    assert said[2] == "endpoint 10.0.0.1:1 is unhealthy (/): HTTP status 503, 100 in a row"
    assert len(said) == 3
    assert health.findings[ONE].row >= 150
    assert health.described({"stable": [(ONE, "unhealthy")], "canary": [(TWO, "healthy")]}) == {
        "unhealthy": {"stable": ["10.0.0.1:1"], "canary": []},
        "reasons": {"10.0.0.1:1": "HTTP status 503"},
    }


async def test_host_port_headers_and_statuses_are_the_configs(aiohttp_server: object) -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=418)

    app = web.Application()
    app.router.add_get("/h", handle)
    server = await aiohttp_server(app)  # type: ignore[operator]
    text = f"""
    stable: http://127.0.0.1:1
    canary:
      url: https://127.0.0.1:2
      health: {{path: /h, host: "shop.test:81", port: {server.port}, scheme: http, status: [2xx, 410-420],
               headers: {{X-Probe: "1", user-agent: mine}}}}
    """
    ((endpoint, check),) = checks(parse(text, "f", {}), {}).items()
    assert (await over_http(client_context)(endpoint, check)).passed
    assert (asked[0].host, asked[0].headers["X-Probe"], asked[0].headers["User-Agent"]) == ("shop.test:81", "1", "mine")
    assert "mine" not in repr(check)
    other = parse(text.replace("410-420", "201"), "f", {})
    ((_, check),) = checks(other, {}).items()
    assert (await over_http(client_context)(endpoint, check)).reason == answered(418)
    own = HealthCheckSpec("/h", port=server.port)
    await over_http(client_context)(Endpoint("127.0.0.1", 9, "shop.internal"), own)
    assert asked[-1].host == f"shop.internal:{server.port}"


async def test_the_host_header_changes_nothing_about_the_name_in_the_certificate() -> None:
    hosts: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        hosts.append(request.host)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handle)
    async with secure_server(app, "shop.internal") as (port, authority):
        endpoint = Endpoint("127.0.0.1", port, tls=UpstreamTls("shop.internal", authority.pem))
        assert (await over_http(client_context)(endpoint, HealthCheckSpec("/", host="www.shop.test"))).passed
        wrong = Endpoint("127.0.0.1", port, tls=UpstreamTls("www.shop.test", authority.pem))
        data = await over_http(client_context)(wrong, HealthCheckSpec("/", host="www.shop.test"))
    assert hosts == ["www.shop.test"]
    assert data.reason is not None
    assert data.reason.kind == "tls"
    assert "ostname mismatch" in data.reason.words


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (b"v42 (main)", "v42 (main)"),
        (b"v\xff\xfe", "v\\udcff\\udcfe"),
        ("v\x9b31m\u202e\U0001f600".encode(), "v\\x9b31m\\u202e\\U0001f600"),
        (b"v" * 5_000, "v" * MAX_VERSION_LENGTH),
        (b"\xff" * 5_000, ("\\udcff" * 100)[:MAX_VERSION_LENGTH]),
    ],
)
async def test_a_version_is_visible_ascii_whatever_an_endpoint_says(header: bytes, version: str) -> None:
    """Half a surrogate pair would have broken the API's answers and the history."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Version: " + header + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        data = await over_http(client_context)(
            Endpoint("127.0.0.1", port), HealthCheckSpec("/", version_header="x-version")
        )
    assert data.passed
    assert data.version == version
