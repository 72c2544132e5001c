"""Events on the wire."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import stream
from canaryproxy.admin.app import admin_application
from canaryproxy.control.events import LISTENERS, Event
from tests.support.admin import Api

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]


def test_an_event_is_three_lines_and_an_empty_one() -> None:
    told = stream.written(Event(7, "weight", 1.5, "shop", {"weight": 5, "note": "a\nb"}))
    assert told == b'id: 7\nevent: weight\ndata: {"at": 1.5, "route": "shop", "weight": 5, "note": "a\\nb"}\n\n'
    assert b"route" not in stream.written(Event(8, "worker", 1.5))


async def test_silence_is_broken_by_comments_and_too_many_are_refused(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.01)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    response = await client.get("/api/v1/events")
    async with asyncio.timeout(60):
        while b"still here" not in await response.content.readline():
            pass
    for _ in range(LISTENERS - 1):
        assert api.controller.events.listen() is not None
    assert (await client.get("/api/v1/events")).status == 503
    api.controller.events.close()
    response.close()
