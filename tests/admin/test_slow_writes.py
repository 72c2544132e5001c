"""A client that does not read gets no more, and nothing is held for it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import metrics_endpoint, slow_writes
from canaryproxy.admin.app import admin_application
from canaryproxy.telemetry.read.exposition import Exposition, ExpositionFormat
from tests.support.admin import Api, until

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]


async def ask(client: TestClient, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # type: ignore[type-arg]
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readline()
    return reader, writer


async def test_an_events_client_that_does_not_read_is_cut_off(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_writes, "TIMEOUT_SECONDS", 0.05)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    _, writer = await ask(client, "/api/v1/events")
    await until(lambda: "1 listeners" in repr(api.events))
    async with asyncio.timeout(60):
        while "1 listeners" in repr(api.events):
            api.events.publish("config", detail="x" * 100_000)
            await asyncio.sleep(0)
    writer.close()


async def test_a_scraper_that_does_not_read_is_cut_off(aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_writes, "TIMEOUT_SECONDS", 0.05)
    pieces = 0

    class Long(Exposition):
        def blocks(self, _: ExpositionFormat) -> Iterator[bytes]:
            nonlocal pieces
            while pieces < 10_000:
                pieces += 1
                yield b"x" * 100_000

        def length(self, _: ExpositionFormat) -> int:
            return 10_000 * 100_000

    monkeypatch.setattr(metrics_endpoint, "Exposition", Long)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    reader, writer = await ask(client, "/metrics")
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):  # noqa: PT012 - it comes sooner or later
        async with asyncio.timeout(60):
            await asyncio.sleep(0.3)
            while True:
                await reader.readexactly(100_000)
    assert pieces < 1000
    writer.close()
