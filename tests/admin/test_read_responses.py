"""Readers of the API: each gets what holds, and hundreds of them delay no change."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import fair_queue, openapi, read_responses, receive_window
from canaryproxy.admin.app import admin_application
from canaryproxy.admin.views import Views
from tests.support.admin import READ, TOKENS, WRITE, Api, until

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]

MANY = "".join(f"  r{n}: {{hosts: [r{n}.test], stable: 'http://127.0.0.1:1'}}\n" for n in range(300))

DEAR = (
    "/api/v1/routes",
    "/api/v1/routes/shop",
    "/api/v1/routes/shop/stats?window=1h",
    "/api/v1/routes/shop/history",
    "/api/v1/routes/shop/analysis",
    "/api/v1/routes/shop/rollout/report",
    "/openapi.json",
    "/docs",
)


@pytest.mark.parametrize("path", DEAR)
async def test_a_weight_is_changed_while_two_hundred_read(path: str, aiohttp_client: Client) -> None:
    api = await Api(route=MANY).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    begun = 0
    statuses: set[int] = set()

    async def read(many: aiohttp.ClientSession) -> None:
        nonlocal begun
        while begun < 1_000:
            begun += 1
            async with many.get(client.make_url(path)) as response:
                await response.read()
                statuses.add(response.status)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as many:
        readers = [asyncio.get_running_loop().create_task(read(many)) for _ in range(200)]
        await until(lambda: bool(statuses))
        for weight in (10, 20, 30):
            response = await client.put("/api/v1/routes/shop/weight", json={"canary": weight})
            assert response.status == 200
            assert api.ledger.state["shop"].weight == weight * 100
        begun = 1_000
        await asyncio.gather(*readers)
    assert 200 in statuses
    assert statuses <= {200, 503}


async def test_all_routes_are_collected_once_for_all_who_wait_and_show_what_was_changed_before_they_asked(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await Api(route=MANY).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    looked = 0
    route = Views.route

    def counted(self: Views, name: str) -> object:
        nonlocal looked
        looked += name == "shop"
        return route(self, name)

    monkeypatch.setattr(Views, "route", counted)
    first = [asyncio.get_running_loop().create_task(client.get("/api/v1/routes")) for _ in range(10)]
    await until(lambda: looked == 1)
    await client.put("/api/v1/routes/shop/weight", json={"canary": 77})
    later = [asyncio.get_running_loop().create_task(client.get("/api/v1/routes")) for _ in range(20)]
    await asyncio.gather(*first)
    for answer in await asyncio.gather(*later):
        data = json.loads(await answer.read())
        assert next(one["weight"] for one in data["routes"] if one["route"] == "shop") == 77
    assert looked <= 6


async def test_readers_beyond_those_who_may_wait_come_again(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair_queue, "MAX_WAITING", 3)
    monkeypatch.setattr(read_responses, "MAX_READERS", 3)
    api = await Api(route=MANY).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    for path, what in (("/api/v1/routes", "read"), ("/api/v1/routes/shop/history", "history")):
        answers = await asyncio.gather(*(client.get(path) for _ in range(50)))
        assert {one.status for one in answers} == {200, 503}
        refused = [one for one in answers if one.status == 503]
        assert {one.headers["Retry-After"] for one in refused} == {"1"}
        assert api.knowledge.rejected_requests[what] == len(refused)


async def test_who_may_not_read_takes_no_turn(aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_WAITING", 0)
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    assert (await client.get("/api/v1/routes/shop")).status == 401
    assert (await client.get("/api/v1/routes/shop", headers=READ)).status == 503
    assert (await client.put("/api/v1/routes/shop/weight", json={"canary": 1}, headers=WRITE)).status == 200


async def test_the_description_is_written_down_once(aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    described = 0
    document = openapi.document

    def counted(*, guarded: bool) -> object:
        nonlocal described
        described += 1
        return document(guarded=guarded)

    monkeypatch.setattr(openapi, "document", counted)
    for path in ("/openapi.json", "/docs", "/openapi.json", "/docs"):
        response = await client.get(path)
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        assert int(response.headers["Content-Length"]) == len(await response.read())
    assert described == 1


async def test_a_long_answer_is_cut_off_where_it_is_not_read(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_window, "RESPONSE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(read_responses, "PIECE", 1_000)
    api = await Api(route=MANY).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=64)
    writer.write(b"GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
    async with asyncio.timeout(60):
        while not client.server.handler.connections:
            await asyncio.sleep(0.005)
        while client.server.handler.connections:
            await asyncio.sleep(0.005)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1 << 30)
    writer.close()
