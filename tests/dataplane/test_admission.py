"""Attacks on the places of a worker, on real sockets."""

import asyncio
import gc
import math
from ipaddress import ip_network

import pytest

from canaryproxy.dataplane import eviction, slow_clients
from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from tests.dataplane.test_connection_count import memory
from tests.dataplane.test_listener import V1
from tests.dataplane.test_listener import listen as listen_proxied
from tests.dataplane.test_tls import SHOP, connect, listen
from tests.dataplane.test_tunnel import echo, tunnel
from tests.support.admin import until
from tests.support.cluster import GET, STAY, Cluster, read_head, read_response, run, running_cluster

MOST = 12
SILENT, HALF, KEPT = b"", b"GET / HT", STAY
SHORT = 0.0
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle client may be evicted at once, so that no test has to wait."""
    monkeypatch.setattr("canaryproxy.dataplane.admission.YOUNG_SECONDS", SHORT)


def limited(most: int = MOST, per_address: int | None = None) -> Limits:
    return Limits(max_connections=most, connections_per_address=per_address)


async def come(w: Cluster, said: bytes, address: str = "127.0.0.1", port: int = 0) -> Client:
    """A client that says this; a whole request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port or w.port, local_addr=(address, 0), limit=2**16)
    w.clients.append(writer)
    writer.write(said)
    if said == STAY:
        await read_response(reader)
    return reader, writer


async def ask(client: Client) -> bytes:
    """The status of one more request; empty where the connection is gone."""
    reader, writer = client
    try:
        writer.write(STAY)
        return (await read_response(reader))[0].split(b" ")[1]
    except (ConnectionError, asyncio.IncompleteReadError):
        return b""


@pytest.mark.parametrize("said", [SILENT, HALF, KEPT])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_idle_clients_do_not_keep_newcomers_out(said: bytes, address: str) -> None:
    async def test() -> None:
        async with running_cluster(limits=limited()) as w:
            idle = [await come(w, said, address) for _ in range(MOST)]
            await until(lambda: w.slots.count == MOST)
            newcomers = [await come(w, STAY) for _ in range(5)]
            assert [await ask(one) for one in newcomers] == [b"200"] * 5
            assert await idle[0][0].read() == b""
            assert w.slots.count == MOST
            delta = w.collect()
            assert dict(delta.evicted) == {"full": 5}
            assert not delta.turned_away

    run(test())


def test_a_bystander_of_another_address_stays_however_long_it_was_idle() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited()) as w:
            bystander = await come(w, STAY, "127.0.0.9")
            for _ in range(4 * MOST):
                await come(w, STAY, "127.0.0.2")
            assert await ask(bystander) == b"200"

    run(test())


def test_a_flood_of_silent_connections_leaves_those_who_have_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same address, and before their grace is over."""
    monkeypatch.setattr(eviction, "GRACE_SECONDS", math.inf)

    async def test() -> None:
        async with running_cluster(limits=limited()) as w:
            bystander = await come(w, STAY)
            for _ in range(4 * MOST):
                await come(w, SILENT)
            assert await ask(bystander) == b"200"

    run(test())


def test_an_exchange_under_way_is_never_given_up_and_then_newcomers_are_refused() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(3)) as w:
            asked, go = asyncio.Semaphore(0), asyncio.Event()

            async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await read_head(reader)
                asked.release()
                await go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await w.stable.answering()(reader, writer)

            w.stable.behaviour = slow
            busy = [await w.connect() for _ in range(3)]
            for _, writer in busy:
                writer.write(STAY)
            for _ in busy:
                await asked.acquire()
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
            go.set()
            for reader, _ in busy:
                assert (await read_response(reader))[1] == b"ok"
            assert await ask(await come(w, STAY)) == b"200"
            delta = w.collect()
            assert (dict(delta.turned_away), dict(delta.evicted)) == ({"full": 1}, {"full": 1})

    run(test())


def test_newcomers_do_not_displace_each_other_before_they_could_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canaryproxy.dataplane.admission.YOUNG_SECONDS", 3600.0)

    async def test() -> None:
        async with running_cluster(limits=limited(2)) as w:
            first, second = await come(w, SILENT), await come(w, SILENT)
            await until(lambda: w.slots.count == 2)
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
            assert [await ask(first), await ask(second)] == [b"200"] * 2

    run(test())


def test_a_newcomer_over_tls_gets_the_place_of_an_idle_one_too() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(3)) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            kept = [await connect(w, port, "shop.test") for _ in range(3)]
            for reader, writer in kept:
                writer.write(STAY)
                await read_response(reader)
            assert await ask(await connect(w, port, "shop.test")) == b"200"
            assert await kept[0][0].read() == b""
            await until(lambda: w.slots.count == len(w.connections) == 3)

    run(test())


def test_connections_that_only_wait_for_their_end_give_way_first() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(3)) as w:
            lingering = [await w.connect() for _ in range(3)]
            for reader, writer in lingering:
                writer.write(GET)
                await reader.read()
            assert await ask(await come(w, STAY)) == b"200"

    run(test())


@pytest.mark.parametrize("kind", ["answer", "body"])
def test_clients_that_move_a_byte_now_and_then_give_way_when_places_are_lacking(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "PERIOD_SECONDS", 0.3)

    async def test() -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            if kind == "body":
                await reader.read()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                writer.write(bytes(100_000))
                await writer.drain()

        async with running_cluster(limits=limited(3)) as w:
            w.stable.behaviour = endless
            slow = []
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1)
                w.clients.append(writer)
                writer.write(STAY if kind == "answer" else b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n")
                slow.append((reader, writer))
            await until(lambda: len(w.exchanges) == 3)

            async def trickle() -> None:
                while True:
                    for reader, writer in slow:
                        if kind == "body":
                            writer.write(b"x")
                        else:
                            await reader.read(1)
                    await asyncio.sleep(0.05)

            trickling = asyncio.ensure_future(trickle())
            w.stable.behaviour = w.stable.answering()
            answer = b""
            async with asyncio.timeout(60):
                while not answer.startswith(b"HTTP/1.1 200 "):
                    answer = await w.ask(GET)
                    await asyncio.sleep(0.05)
            trickling.cancel()
            delta = w.collect()
            assert delta.turned_away["full"] >= 1
            assert delta.evicted["full"] >= 1

    run(test())


# One address.


def test_an_address_has_no_more_connections_than_it_may() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(100, 3)) as w:
            first = [await come(w, STAY) for _ in range(3)]
            reader, _ = await come(w, SILENT)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"Proxy-Status: " in answer
            assert await ask(await come(w, STAY, "127.0.0.2")) == b"200"
            first[0][1].close()
            await until(lambda: w.slots.count_of("127.0.0.1") == 2)
            assert await ask(await come(w, STAY)) == b"200"
            delta = w.collect()
            assert (dict(delta.turned_away), dict(delta.refused)) == ({"address": 1}, {429: 1})

    run(test())


def test_tunnels_count_until_they_end() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(100, 1)) as w:
            w.stable.behaviour = echo
            _, writer = await tunnel(w)
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 429 ")
            writer.close()
            await until(lambda: w.slots.count == 0)
            await tunnel(w)

    run(test())


def test_tunnels_keep_their_places_and_newcomers_do_not_cut_them() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited(4)) as w:
            w.stable.behaviour = echo
            clients = [await tunnel(w) for _ in range(3)]
            for _ in range(5):
                await come(w, SILENT)
            clients.append(await tunnel(w))
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
            for reader, writer in clients:
                writer.write(b"hello")
                assert await reader.readexactly(7) == b"<hello>"
            assert dict(w.collect().evicted) == {"full": 5}

    run(test())


def test_a_trusted_proxy_has_no_such_limit_and_the_client_that_it_names_has() -> None:
    async def test() -> None:
        trusted = (ip_network("127.0.0.0/8"),)
        async with running_cluster(settings=PlaneSettings(limited(100, 2), Timeouts(), trusted)) as w:
            for _ in range(4):
                assert await ask(await come(w, STAY)) == b"200"
            port = await listen_proxied(w)
            named = [await come(w, V1, port=port) for _ in range(2)]
            assert [await ask(one) for one in named] == [b"200"] * 2
            assert await (await come(w, V1, port=port))[0].read() == b""
            other = V1.replace(b"203.0.113.9", b"203.0.113.8")
            assert await ask(await come(w, other, port=port)) == b"200"
            assert dict(w.collect().turned_away) == {"address": 1}

    run(test())


def test_an_address_is_counted_over_all_workers_and_no_one_is_kept_from_a_share_of_it() -> None:
    async def test() -> None:
        shared = memory(2)
        async with running_cluster(limits=limited(100, 4), connection_count=SharedConnectionCount(shared, 0)) as w:
            other = SharedConnectionCount(shared, 1)
            for _ in range(3):
                other.add_address("127.0.0.1", 1)
            assert await ask(await come(w, STAY)) == b"200"
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 429 ")

    run(test())


# Several workers.


def test_a_worker_serves_its_share_whatever_another_one_claims() -> None:
    async def test() -> None:
        shared = memory(2)
        SharedConnectionCount(shared, 1).report(2**32 - 1)
        async with running_cluster(limits=limited(100), connection_count=SharedConnectionCount(shared, 0)) as w:
            assert await ask(await come(w, STAY)) == b"200"
            assert not w.plane.at_capacity()

    run(test())


def test_a_worker_that_is_full_of_exchanges_leaves_newcomers_to_others() -> None:
    async def test() -> None:
        connection_count = SharedConnectionCount(memory(2), 0)
        async with running_cluster(limits=limited(2), connection_count=connection_count) as w:
            w.plane._fair_share_of_limit = 0
            await come(w, STAY)
            await come(w, STAY)
            assert not connection_count.above_fair_share(-1)
            assert w.plane.at_capacity()
            assert w.plane._slots.choose(w.plane.clock.now()) is not None
            for connection in w.plane._connections:
                connection.paused = True
                assert connection.slot is not None
                connection.slot.owner = Busy()
            assert w.plane.over_fair_share()

    run(test())


class Busy:
    """Holds a slot and never gives way."""

    def idle_since(self) -> float:
        return eviction.BUSY

    def owing(self) -> bool:
        return False

    def evict(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("said", [SILENT, HALF, KEPT])
def test_what_a_flood_leaves_behind_needs_no_garbage_collector(said: bytes) -> None:
    """It would hold the loop for tens of milliseconds: 40,000 objects a second were found."""

    async def test() -> None:
        async with running_cluster(limits=limited()) as w:
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                for _ in range(4 * MOST):
                    await come(w, said)
                for client in w.clients:
                    client.close()
                await until(lambda: not w.connections)
                gc.collect()
                left = {type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("canaryproxy")}
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
            assert not left

    run(test())


def test_newcomers_wait_in_the_queue_of_the_kernel_while_too_much_is_held() -> None:
    async def test() -> None:
        async with running_cluster(limits=limited()) as w:
            w.plane.buffers.cutting = True
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
            w.clients.append(writer)
            writer.write(STAY)
            await asyncio.sleep(0.05)
            assert not w.connections
            w.plane.buffers.cutting = False
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 200")

    run(test())
