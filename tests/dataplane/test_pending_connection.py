"""What comes before HTTP, attacked: silent clients, half hellos, half handshakes. PROXY headers: test_listener.py."""

import asyncio
import contextlib
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane import handshakes
from canaryproxy.dataplane.pending_connection import MAX_HELLO_BYTES, bytes_needed
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from tests.dataplane.test_tls import OURS, SHOP, connect, listen, trusting
from tests.support.admin import until
from tests.support.cluster import STAY, Cluster, read_response, run, running_cluster


def hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="shop.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = hello()


def records(data: bytes, sizes: list[int]) -> bytes:
    """The message in records of these sizes, over and over."""
    message, made, number = data[5:], b"", 0
    while message:
        size = sizes[number % len(sizes)]
        piece, message, number = message[:size], message[size:], number + 1
        made += b"\x16\x03\x01" + len(piece).to_bytes(2) + piece
    return made


def few(handshakes: int = 2, header: float = 30.0) -> PlaneSettings:
    return PlaneSettings(Limits(handshakes=handshakes, max_connections=100), Timeouts(header=header))


async def say(w: Cluster, port: int, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    w.clients.append(writer)
    writer.write(data)
    return reader, writer


async def served(w: Cluster, port: int) -> bool:
    reader, writer = await connect(w, port, "shop.test")
    writer.write(STAY)
    return (await read_response(reader))[1] == b"ok"


@pytest.mark.parametrize("said", [b"", HELLO[:1], HELLO[:5], HELLO[:-1], records(HELLO, [40])[:-1]])
def test_no_handshake_begins_before_the_hello_is_complete(said: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            silent = [await say(w, port, said) for _ in range(20)]
            await until(lambda: w.listeners[1].pending_count == 20)
            for _ in range(3):
                assert await served(w, port)
            assert w.plane.handshakes.under_way + w.plane.handshakes.waiting == 0
            assert not silent[0][0].at_eof()
            assert not w.collect().evicted

    run(test())


def test_a_hello_in_pieces_and_many_records_is_answered() -> None:
    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            reader, writer = await say(w, await listen(w, ListenerTls((SHOP,))), b"")
            for byte in records(HELLO, [200])[:60]:
                writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            writer.write(records(HELLO, [200])[60:])
            assert (await reader.readexactly(1)) == b"\x16"

    run(test())


def test_half_handshakes_give_way_and_honest_clients_get_through() -> None:
    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            half = [await say(w, port, HELLO) for _ in range(12)]
            for _ in range(3):
                assert await served(w, port)
            await until(lambda: not w.plane.handshakes.waiting)
            assert w.plane.handshakes.under_way <= 2
            assert w.collect().evicted["handshakes"] >= 10
            async with asyncio.timeout(30):
                with contextlib.suppress(ConnectionError):
                    await half[0][0].read()
            await until(lambda: w.slots.count <= 2 + 3)

    run(test())


@pytest.mark.parametrize("said", [b"", HELLO[:9], HELLO, b"GET / HTTP/1.1\r\n\r\n"])
def test_one_that_leaves_in_the_midst_leaves_nothing_behind(said: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            reader, writer = await say(w, port, said)
            await asyncio.sleep(0.05)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            await until(lambda: w.slots.count == 0)
            assert w.listeners[1].pending_count == w.plane.handshakes.under_way == 0

    run(test())


def test_the_clock_of_a_client_does_not_run_while_it_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "PACE", 3600.0)

    async def test() -> None:
        async with running_cluster(settings=few(handshakes=1, header=0.5)) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            for _ in range(3):
                await say(w, port, HELLO)
            await until(lambda: w.plane.handshakes.waiting == 1)  # one under way, one gave way for it
            await asyncio.sleep(1.0)
            w.plane._sweep()
            await until(lambda: w.plane.handshakes.waiting == 0)  # its turn came when that one had had its time
            assert w.plane.handshakes.under_way == 1

    run(test())


def test_one_that_left_while_it_waited_costs_no_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "PACE", 3600.0)

    async def test() -> None:
        async with running_cluster(settings=few(handshakes=1)) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            half = [await say(w, port, HELLO) for _ in range(3)]
            await until(lambda: w.plane.handshakes.waiting == 1)
            for _, writer in half:
                writer.close()
            await until(lambda: w.plane._slots.count == 0)
            assert w.plane.handshakes.under_way == w.plane.handshakes.waiting == 0

    run(test())


@pytest.mark.parametrize("said", [b"", HELLO[:9], HELLO])
def test_all_of_it_has_the_time_of_a_head(said: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=few(header=0.2)) as w:
            reader, _ = await say(w, await listen(w, ListenerTls((SHOP,))), said)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            await until(lambda: w.slots.count == 0)
            assert w.listeners[1].pending_count == 0

    run(test())


def test_a_client_cannot_negotiate_again() -> None:
    """TLS 1.2: a renegotiation would be one signature after the other on one connection."""
    made = trusting(OURS)
    made.maximum_version = ssl.TLSVersion.TLSv1_2

    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            reader, writer = await connect(w, await listen(w, ListenerTls((SHOP,))), "shop.test", made)
            writer.write(STAY)
            await read_response(reader)
            context = w.listeners[1].sni_contexts
            assert context is not None
            assert context.context.options & ssl.OP_NO_RENEGOTIATION
            assert context._default.options & ssl.OP_NO_RENEGOTIATION

    run(test())


def test_a_silent_connection_does_not_hold_up_the_end_for_longer_than_its_own_time() -> None:
    async def test() -> None:
        settings = PlaneSettings(Limits(max_connections=100), Timeouts(header=0.3, drain=60.0))
        async with running_cluster(settings=settings) as w:
            reader, _ = await say(w, await listen(w, ListenerTls((SHOP,))), b"")
            await until(lambda: w.listeners[1].pending_count == 1)
            assert await asyncio.wait_for(w.plane.drain(), 20) == 0
            assert await reader.read() == b""

    run(test())


def test_a_listener_that_ends_closes_those_who_wait() -> None:
    async def test() -> None:
        async with running_cluster(settings=few()) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            with socket.create_connection(("127.0.0.1", port)) as silent:
                await until(lambda: w.listeners[1].pending_count == 1)
                w.plane.abort()
                silent.settimeout(10)
                assert silent.recv(1) == b""

    run(test())


def test_a_hello_is_awaited_to_its_end_and_no_further() -> None:
    for length in range(len(HELLO)):
        assert length < bytes_needed(HELLO[:length]) <= len(HELLO)
    assert bytes_needed(HELLO) == 0
    assert bytes_needed(HELLO + b"more") == 0


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.data())
def test_one_in_many_records_too(sizes: list[int], data: st.DataObject) -> None:
    whole = records(HELLO, sizes)
    length = data.draw(st.integers(0, len(whole) - 1))
    assert length < bytes_needed(whole[:length]) <= len(whole)
    assert bytes_needed(whole) == 0


@given(st.binary(max_size=200))
def test_what_is_no_hello_is_not_waited_for_for_ever(data: bytes) -> None:
    wanted = bytes_needed(data)
    assert wanted == 0 or len(data) < wanted <= MAX_HELLO_BYTES + 2**14 + 300


def test_garbage_is_handed_to_the_library_at_once() -> None:
    for data in (
        b"GET / HTTP/1.1",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05\x02",
        b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(2**14),
    ):
        assert bytes_needed(data) == 0
