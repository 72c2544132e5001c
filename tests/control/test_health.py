"""Active health checks. H63."""

import asyncio
import logging

import pytest
from aiohttp import web

from canaryproxy.control.health import Answer, Check, Health, Streak, over_http
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.table import Endpoint
from canaryproxy.proxy.tls import client_context
from tests.proxy.test_tls import OURS
from tests.support.nginx import free_port


def test_a_side_changes_after_so_many_results_in_a_row() -> None:
    streak = Streak(Check("/", unhealthy=3, healthy=2))
    results = [False, False, True, False, False, False, True, False, True, True]
    changes = [streak.add(passed=passed) for passed in results]
    assert changes == [False] * 5 + [True] + [False] * 3 + [True]
    assert streak.healthy
    assert "healthy" in repr(streak)


ONE, TWO = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)
FAST = Check("/", interval=0.005, unhealthy=2)


async def until(true: object) -> None:
    async with asyncio.timeout(60):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_an_endpoint_that_fails_is_unhealthy_until_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    ill: set[Endpoint] = set()
    changes: list[frozenset[Endpoint]] = []

    async def ask(endpoint: Endpoint, _: Check) -> Answer:
        return Answer(endpoint not in ill)

    health = Health(lambda: changes.append(health.unhealthy), ask)
    health.watch({ONE: FAST, TWO: FAST})
    ill.add(TWO)
    await until(lambda: health.unhealthy == {TWO})
    ill.clear()
    await until(lambda: not health.unhealthy)
    assert changes == [frozenset((TWO,)), frozenset()]
    assert "10.0.0.2:1 is unhealthy" in caplog.text
    assert "10.0.0.2:1 is healthy again" in caplog.text
    ill.add(ONE)
    await until(lambda: health.unhealthy == {ONE})
    health.watch({TWO: FAST})
    assert not health.unhealthy
    assert "1 checks" in repr(health)
    health.stop()


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
    assert await over_http(client_context)(endpoint, Check(path)) == Answer(healthy)


async def test_nobody_there_is_unhealthy_and_so_is_silence_and_a_wrong_certificate() -> None:
    ask = over_http(client_context)
    assert not (await ask(Endpoint("127.0.0.1", free_port()), Check("/"))).passed

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.release()

    gone = asyncio.Semaphore(0)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert not (await ask(Endpoint("127.0.0.1", port), Check("/", timeout=0.05))).passed
    secure = Endpoint("127.0.0.1", port, tls=UpstreamTls("shop.internal", OURS.pem))
    assert not (await ask(secure, Check("/", timeout=0.05))).passed
    for _ in range(2):
        await gone.acquire()
    server.close()


async def test_an_endpoint_may_tell_its_version(aiohttp_server: object) -> None:
    app = web.Application()

    async def told(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Version": "2.1"})

    app.router.add_get("/", told)
    server = await aiohttp_server(app)  # type: ignore[operator]
    endpoint = Endpoint("127.0.0.1", server.port)
    asked = Check("/", interval=0.005, version_header="x-version")
    assert await over_http(client_context)(endpoint, asked) == Answer(passed=True, version="2.1")
    health = Health(lambda: None, over_http(client_context))
    health.watch({endpoint: asked})
    await until(lambda: health.versions == {endpoint: "2.1"})
    health.watch({})
    assert not health.versions
