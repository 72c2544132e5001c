"""Upgraded connections: relayed raw, both ways. H64, H65, H66."""

import asyncio
import dataclasses
from typing import Any

import pytest

from canaryproxy.model.settings import Timeouts
from tests.support.cluster import GET, Cluster, read_head, read_response, reset, run, running_cluster

ASK = b"GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a==\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: b=\r\n\r\n"
)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(SWITCH)
    while data := await reader.read(65_536):
        writer.write(b"<" + data + b">")
        await writer.drain()
    writer.write(b"bye")
    writer.write_eof()


async def tunnel(w: Cluster) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await w.connect()
    writer.write(ASK)
    head = await read_head(reader)
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


def test_a_handshake_passes_end_to_end_and_bytes_follow_both_ways() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = echo
            reader, writer = await w.connect()
            writer.write(ASK)
            head = await read_head(reader)
            for field in (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: b=", b"Via: "):
                assert b"\r\n" + field in head
            assert b"Content-Length" not in head
            writer.write(b"hello")
            assert await reader.readexactly(7) == b"<hello>"
            delta = w.collect()
            assert delta.tunnels == {("shop", "stable"): 1}
            assert (w.codes, w.outcomes) == ({101: 1}, {"success": 1})
            assert all(not cell.latency for cell in delta.cells)
            assert not w.connections

    run(test())


def test_each_direction_ends_by_itself_and_the_tunnel_with_the_second() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = echo
            reader, writer = await tunnel(w)
            writer.write(b"last")
            writer.write_eof()
            assert await reader.read() == b"<last>bye"
            await gone(w)
            assert w.collect().tunnels == {}
            assert all(pool.in_flight == 0 for pool in w.plane.pools.by_endpoint.values())

    run(test())


async def gone(w: Cluster) -> None:
    while w.plane.tunnels:
        await asyncio.sleep(0.01)


def test_bytes_that_come_with_the_handshake_are_not_lost() -> None:
    async def test() -> None:
        async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(SWITCH + b"first")
            assert await reader.readexactly(5) == b"early"
            writer.write(b"got it")

        async with running_cluster() as w:
            w.stable.behaviour = eager
            reader, writer = await w.connect()
            writer.write(ASK + b"early")
            await read_head(reader)
            assert await reader.readexactly(11) == b"firstgot it"

    run(test())


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: close\r\nUpgrade: websocket\r\n",
    ],
)
def test_an_upgrade_that_is_not_allowed_or_not_meant_is_an_ordinary_request(fields: bytes) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n" + fields + b"\r\n")
            assert (await read_response(reader))[1] == b"ok"
            assert b"pgrade" not in w.stable.heads[0]

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH.replace(b"websocket", b"h2c"),
        SWITCH.replace(b"Connection: Upgrade\r\n", b""),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_101_to_something_else_is_a_502(answer: bytes) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = w.stable.answering(answer)
            reader, writer = await w.connect()
            writer.write(ASK)
            assert (await read_head(reader)).startswith(b"HTTP/1.1 502 ")

    run(test())


def test_a_refused_handshake_is_an_ordinary_response_on_a_connection_that_stays() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            for _ in range(2):
                writer.write(ASK)
                assert (await read_response(reader))[1] == b"ok"
            assert b"\r\nUpgrade: websocket\r\n" in w.stable.heads[0]
            assert w.stable.connections == 1

    run(test())


def test_a_side_that_does_not_read_stops_the_other_from_sending() -> None:
    async def test() -> None:
        sent = 0

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_head(reader)
            writer.write(SWITCH)
            while sent < 64 * 2**20:
                writer.write(bytes(65_536))
                await writer.drain()
                sent += 65_536
            writer.write_eof()

        async with running_cluster() as w:
            w.stable.behaviour = flood
            reader, _ = await tunnel(w)
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.3)
            assert sent < 32 * 2**20
            (only,) = w.plane.tunnels
            assert only.down.transport.get_write_buffer_size() < 2**20
            reader._transport.resume_reading()  # type: ignore[attr-defined]
            total = 0
            while data := await reader.read(2**20):
                total += len(data)
            assert total == 64 * 2**20

    run(test(), 60)


def test_a_reset_on_one_side_ends_the_other_and_a_silent_tunnel_ends_after_its_time() -> None:
    async def test() -> None:
        async with running_cluster(timeouts=Timeouts(tunnel_idle=0.2)) as w:
            w.stable.behaviour = echo
            _, writer = await tunnel(w)
            reset(writer)
            await gone(w)
            reader, _ = await tunnel(w)
            assert await reader.read() == b""
            assert not w.plane.tunnels

    run(test())


def test_a_drain_waits_for_tunnels_and_cuts_them_at_its_end() -> None:
    async def test() -> None:
        async with running_cluster(timeouts=Timeouts(drain=0.6)) as w:
            w.stable.behaviour = echo
            kept, writer = await tunnel(w)
            draining = asyncio.ensure_future(w.plane.drain())
            await asyncio.sleep(0.1)
            writer.write(b"still here")
            assert await kept.readexactly(12) == b"<still here>"
            assert await draining == 1
            assert await kept.read() == b""

    run(test())


def test_tunnels_of_an_aborted_canary_are_cut_after_its_drain_and_others_are_not() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, timeouts=Timeouts(abort_drain=0.1)) as w:
            w.canary.behaviour = w.stable.behaviour = echo
            ours, _ = await tunnel(w)
            stable = dataclasses.replace(w.table.routes[0], weight=0)
            w.publish(dataclasses.replace(w.table, routes=(stable,)), 2)
            other, writer = await tunnel(w)
            w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(stable, aborted=True),)), 3)
            assert await ours.read() == b""
            writer.write(b"x")
            assert await other.readexactly(3) == b"<x>"

    run(test())


@pytest.mark.parametrize("later", [False, True])
def test_tunnels_of_a_canary_that_was_removed_are_cut_after_the_drain_of_an_abort(later: bool) -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, timeouts=Timeouts(abort_drain=0.1)) as w:
            w.canary.behaviour = w.stable.behaviour = echo
            ours, _ = await tunnel(w)
            plain = dataclasses.replace(w.table.routes[0], canary=None, weight=0)
            w.publish(dataclasses.replace(w.table, routes=(plain,)), 2)
            if later:
                w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(plain, add_version=True),)), 3)
            other, writer = await tunnel(w)
            assert await ours.read() == b""
            writer.write(b"x")
            assert await other.readexactly(3) == b"<x>"

    run(test())


def test_tunnels_count_towards_the_limit_of_connections_and_of_their_version() -> None:
    from canaryproxy.model.settings import Limits

    async def test() -> None:
        async with running_cluster(limits=Limits(max_connections=2)) as w:
            w.stable.behaviour = echo
            route = w.table.routes[0]
            stable = dataclasses.replace(route.stable, max_in_flight=1)
            w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(route, stable=stable),)), 2)
            _, writer = await tunnel(w)
            assert b"503" in await w.ask(GET)
            held: Any = w.plane.pools.in_flight
            assert held["shop", "stable"] == 1
            writer.close()
            await gone(w)
            assert not +held

    run(test())


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PROPFIND"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_other_methods_and_versioned_protocols_switch_too(method: bytes, body: bytes) -> None:
    """H64. As `kubectl exec` asks (SPDY/3.1), and Docker's API (tcp, with a body)."""

    async def test() -> None:
        async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await read_head(reader))
            asked.append(await reader.readexactly(len(body)))
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
            while data := await reader.read(65_536):
                writer.write(b"<" + data + b">")

        asked: list[bytes] = []
        async with running_cluster(upgrades=("spdy/3.1", "tcp")) as w:
            w.stable.behaviour = switch
            reader, writer = await w.connect()
            writer.write(
                method + b" /exec HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1, h2c, tcp\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert (await read_head(reader)).startswith(b"HTTP/1.1 101 ")
            writer.write(b"hello")
            assert await reader.readexactly(7) == b"<hello>"
            assert b"\r\nUpgrade: SPDY/3.1, tcp\r\n" in asked[0]
            assert asked[1] == body

    run(test())


def test_no_protocol_is_switched_in_the_middle_of_a_request() -> None:
    async def test() -> None:
        async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(SWITCH)
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = hasty
            reader, writer = await w.connect()
            writer.write(ASK.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nab"))
            assert (await read_head(reader)).startswith(b"HTTP/1.1 502 ")

    run(test())
