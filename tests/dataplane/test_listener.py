"""What comes before HTTP: the PROXY protocol, and the limits on strangers. H70."""

import asyncio
import socket
from ipaddress import ip_network

import pytest

from canaryproxy.dataplane.listener import accept_some
from canaryproxy.http.proxy_protocol import V2_SIGNATURE
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.settings import Limits, Network, PlaneSettings, Timeouts
from canaryproxy.processes.listen import listen_on
from tests.dataplane.test_tls import OURS, SHOP, trusting
from tests.support.cluster import GET, Cluster, read_head, run, running_cluster

V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n"
V2 = V2_SIGNATURE + b"\x21\x11\x00\x0c" + bytes((203, 0, 113, 9, 192, 0, 2, 1)) + b"\x12\x67\x01\xbb"
TRUSTED = (ip_network("127.0.0.0/8"),)
NO_ONE = (ip_network("10.0.0.0/8"),)


def settings(trusted: tuple[Network, ...] = TRUSTED, connections: int = 100) -> PlaneSettings:
    return PlaneSettings(Limits(max_connections=connections), Timeouts(header=0.3), trusted)


async def listen(w: Cluster, tls: ListenerTls | None = None) -> int:
    sock = listen_on("127.0.0.1", 0)
    w.plane.listen(sock, tls, proxy_protocol=True)
    port: int = sock.getsockname()[1]
    return port


async def ask(w: Cluster, port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    w.clients.append(writer)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_header_of_a_trusted_balancer_says_who_the_client_is(header: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            assert (await ask(w, await listen(w), header + GET)).endswith(b"ok")
            assert b"\r\nX-Forwarded-For: 203.0.113.9\r\n" in w.stable.heads[0]

    run(test())


def test_what_the_client_behind_it_claims_about_itself_is_not_believed() -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            await ask(w, await listen(w), V1 + GET[:-2] + b"X-Forwarded-For: 10.1.1.1\r\n\r\n")
            assert b"\r\nX-Forwarded-For: 203.0.113.9\r\n" in w.stable.heads[0]

    run(test())


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2_SIGNATURE + b"\x20\x00\x00\x00"])
def test_a_balancer_that_speaks_for_itself_is_the_client(header: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            assert (await ask(w, await listen(w), header + GET)).endswith(b"ok")
            assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in w.stable.heads[0]

    run(test())


@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 1.2", GET, V1[:-2] + b"\n" + GET, V2[:13] + b"\xff" + V2[14:]])
def test_a_trusted_peer_without_a_proper_header_is_closed_without_a_word(said: bytes) -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            assert await ask(w, await listen(w), said) == b""
            assert not w.stable.heads

    run(test())


def test_anyone_else_is_an_ordinary_client_and_cannot_pretend() -> None:
    async def test() -> None:
        async with running_cluster(settings=settings(NO_ONE)) as w:
            port = await listen(w)
            assert (await ask(w, port, GET)).endswith(b"ok")
            assert (await ask(w, port, V1 + GET)).startswith(b"HTTP/1.1 400 ")

    run(test())


def test_the_header_comes_before_tls() -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            loop = asyncio.get_running_loop()
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(V2)
            sock.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=sock, ssl=trusting(OURS), server_hostname="shop.test")
            writer.write(GET)
            assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
            assert b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n" in w.stable.heads[0]
            writer.close()
            assert loop.is_running()

    run(test())


def test_strangers_that_say_nothing_are_counted_and_give_way() -> None:
    async def test() -> None:
        async with running_cluster(settings=settings(connections=3)) as w:
            port = await listen(w)
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            while w.plane._slots.choose(w.plane.clock.now()) is None or w.plane._listeners[1].pending_count < 3:
                await asyncio.sleep(0.01)
            assert (await ask(w, port, V1 + GET)).endswith(b"ok")
            assert await silent[0][0].read() == b""
            assert w.slots.count <= 3
            for _, writer in silent:
                writer.close()

    run(test())


def test_connections_that_were_under_way_when_the_drain_began_are_served() -> None:
    async def test() -> None:
        async with running_cluster(settings=settings()) as w:
            port = await listen(w)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            draining = asyncio.ensure_future(w.plane.drain())
            writer.write(V1 + GET)
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            assert await draining == 0

    run(test())


def test_connections_the_kernel_has_accepted_are_taken_from_the_queue() -> None:
    sock = listen_on("127.0.0.1", 0)
    assert list(accept_some(sock)) == []
    with socket.create_connection(sock.getsockname()):
        ((taken, address),) = accept_some(sock)
        assert address == "127.0.0.1"
        assert not taken.getblocking()
        taken.close()
    sock.close()


def test_a_drain_does_not_wait_longer_for_a_silent_stranger_than_for_anyone() -> None:
    async def test() -> None:
        patient = PlaneSettings(Limits(), Timeouts(header=60, drain=0.5), TRUSTED)
        async with running_cluster(settings=patient) as w:
            port = await listen(w)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.05)
            began = w.plane.clock.now()
            assert await w.plane.drain() == 0
            assert w.plane.clock.now() - began < 5
            w.plane.update_certificates([None, ListenerTls((SHOP,))])
            writer.close()

    run(test())
