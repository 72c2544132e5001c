"""Events on the wire."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import event_stream
from canaryproxy.admin.app import admin_application
from canaryproxy.control.events import MAX_SUBSCRIBERS, PublishedEvent
from tests.support.admin import READ, TOKENS, WRITE, Api, until

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]


def test_an_event_is_three_lines_and_an_empty_one() -> None:
    data = event_stream.encode_event(PublishedEvent(7, "weight", 1.5, "shop", {"weight": 5, "note": "a\nb"}))
    assert data == b'id: 7\nevent: weight\ndata: {"at": 1.5, "route": "shop", "weight": 5, "note": "a\\nb"}\n\n'
    assert b"route" not in event_stream.encode_event(PublishedEvent(8, "worker", 1.5))


async def test_silence_is_broken_by_comments_and_too_many_are_refused(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.01)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    response = await client.get("/api/v1/events")
    async with asyncio.timeout(60):
        while b"still here" not in await response.content.readline():
            pass
    for number in range(MAX_SUBSCRIBERS - 1):
        assert api.events.subscribe(f"10.0.0.{number}") is not None
    assert (await client.get("/api/v1/events")).status == 503
    api.events.close()
    response.close()


async def hanging(client: TestClient) -> asyncio.StreamWriter:  # type: ignore[type-arg]
    """A client that asks for events and reads nothing, not even what its kernel would take for it at once."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.connect((client.host, client.port))
    sock.setblocking(False)
    protocol = asyncio.Protocol()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)
    transport.pause_reading()
    transport.write(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return cast("asyncio.StreamWriter", transport)


async def test_a_client_that_does_not_read_is_cut_though_nothing_happens_and_one_that_reads_stays(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    events = api.events
    response = await client.get("/api/v1/events")

    async def read() -> None:
        while await response.content.readany():
            continue

    reading = asyncio.get_running_loop().create_task(read())
    deaf = [await hanging(client) for _ in range(3)]
    await until(lambda: events.listeners == 4)
    await until(lambda: events.listeners == 1)
    assert not reading.done()
    events.close()
    await reading
    for writer in deaf:
        writer.close()


async def test_a_heartbeat_is_a_comment_of_its_size() -> None:
    beat = event_stream.heartbeat(5000)
    assert 5000 <= len(beat) < 6200
    assert max(map(len, beat.split(b"\n"))) < 1024
    assert all(line == b"" or line.startswith(b":") for line in beat.split(b"\n"))
    assert beat.endswith(b"\n\n")


async def test_places_are_shared_between_tokens(aiohttp_client: Client) -> None:
    api = await Api(TOKENS, listeners=4).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    events = api.events
    for _ in range(2):
        assert events.subscribe("10.0.0.9", "eyes") is not None
    assert (await client.get("/api/v1/events", headers=READ)).status == 503
    response = await client.get("/api/v1/events", headers=WRITE)
    assert response.status == 200
    response.close()
