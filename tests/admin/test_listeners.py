"""The listeners together: each has its own places, and what is dropped is counted and said."""

import asyncio
import logging
import socket
from pathlib import Path

import pytest
from aiohttp import web

from canaryproxy.admin import listeners as doors_module
from canaryproxy.admin.accept_loop import REASONS, ConnectionQuota
from canaryproxy.admin.listeners import REASON_TEXTS, ControlListeners
from canaryproxy.processes.listen import listen_at, listen_on
from tests.support.admin import until
from tests.support.cluster import run


def application() -> web.Application:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


def gone(doors: ControlListeners) -> float:
    """Silent connections that gave way to newer ones, or were refused since they would have."""
    dropped = doors.facts().dropped
    return dropped["probes", "evicted"] + dropped["probes", "silent"]


def test_a_flood_of_one_takes_no_place_of_another(tmp_path: Path) -> None:
    async def test() -> None:
        doors = ControlListeners()
        room = ConnectionQuota(4, 3, 2, 2)
        admin = await doors.serve("admin", application(), listen_on("127.0.0.1", 0), room)
        probes = await doors.serve("probes", application(), listen_on("127.0.0.1", 0), room)
        await doors.serve_local(application(), listen_at(tmp_path / "a.sock"))
        operator = await asyncio.open_connection(*admin)
        await until(lambda: doors.facts().connections == {"admin": 1, "probes": 0, "socket": 0})
        flood = [socket.create_connection(probes) for _ in range(60)]
        assert (await hello(*operator)).endswith(b"hello")
        assert (await hello(*await asyncio.open_unix_connection(tmp_path / "a.sock"))).endswith(b"hello")
        await until(lambda: gone(doors) == 58)
        assert doors.facts().dropped["admin", "evicted"] == 0
        assert set(doors.facts().dropped) == {
            (name, reason) for name in ("admin", "probes", "socket") for reason in REASONS
        }
        await doors.cleanup()
        assert not (tmp_path / "a.sock").exists()
        for sock in flood:
            sock.close()

    run(test())


def test_what_is_dropped_is_one_log_line_in_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def test() -> None:
        doors = ControlListeners()
        address = await doors.serve("probes", application(), listen_on("127.0.0.1", 0), ConnectionQuota(4, 3, 2, 2))
        flood = [socket.create_connection(address) for _ in range(10)]
        await until(lambda: "connections dropped by the probes listener: " in caplog.text)
        flood += [socket.create_connection(address) for _ in range(10)]
        await until(lambda: gone(doors) == 18)
        assert caplog.text.count("connections dropped by the probes listener: ") == 1
        await doors.cleanup()
        for sock in flood:
            sock.close()

    run(test())
    assert doors_module.LOG_PERIOD_SECONDS == 10.0
    assert set(REASON_TEXTS) == set(REASONS)
