"""The data plane as a whole: tables, counts, the end."""

import asyncio
import dataclasses
from ipaddress import ip_network

import pytest

from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.model.settings import PlaneSettings, Timeouts
from canaryproxy.model.table import Affinity, RoutingTable
from tests.support.cluster import GET, OK, STAY, Cluster, read_head, read_response, run, running_cluster


def at(w: Cluster, weight: int, generation: int) -> RoutingTable:
    return RoutingTable(generation, tuple(dataclasses.replace(route, weight=weight) for route in w.table.routes))


def test_the_next_head_is_decided_by_the_published_table_and_a_running_exchange_is_not() -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await go.wait()
            writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = wait
            first, writer = await w.connect()
            writer.write(GET)
            while not w.stable.connections:
                await asyncio.sleep(0.01)
            w.plane.publish(at(w, 10_000, 2))
            await w.ask(GET)
            assert len(w.canary.heads) == 1
            go.set()
            assert (await first.read()).endswith(b"ok")
            delta = w.collect()
            assert delta.generation == 2
            assert w.versions == {"stable": 1, "canary": 1}

    run(test())


def test_ten_thousand_requests_split_exactly_through_a_hundred_table_swaps() -> None:
    async def test() -> None:
        async with running_cluster(weight=100) as w:
            reader, writer = await w.connect()
            for number in range(100):
                w.plane.publish(at(w, 100, number + 2))
                writer.write(STAY * 100)
                for _ in range(100):
                    await read_response(reader)
            w.collect()
            assert w.versions == {"stable": 9_900, "canary": 100}

    run(test(), 60)


def test_connections_to_endpoints_that_left_the_table_are_closed_but_not_those_in_use() -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await go.wait()
            writer.write(OK)
            await reader.read()

        async with running_cluster(weight=10_000) as w:
            await w.ask(GET)
            assert "1 idle" in repr(next(iter(w.plane.pools.by_endpoint.values())))
            w.canary.behaviour = wait
            busy = [asyncio.get_running_loop().create_task(w.ask(GET)) for _ in range(2)]
            while w.canary.connections < 2:
                await asyncio.sleep(0.01)
            w.plane.publish(RoutingTable(2, ()))
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 404 ")
            go.set()
            assert all(answer.endswith(b"ok") for answer in await asyncio.gather(*busy))
            await w.canary.closed.wait()
            assert not w.plane.pools.by_endpoint

    run(test())


def test_an_upstream_connection_is_not_kept_idle_for_longer_than_configured() -> None:
    """H44."""

    async def test() -> None:
        async with running_cluster(keep_alive=0.05) as w:
            await w.ask(GET)
            await w.stable.closed.wait()
            await w.ask(GET)
            assert w.stable.connections == 2

    run(test())


def test_an_idle_upstream_connection_is_used_again_until_anything_happens_to_it() -> None:
    """H40 H44."""

    async def test() -> None:
        async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(OK)
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
            await reader.read()

        async with running_cluster() as w:
            assert (await w.ask(GET)).endswith(b"ok")
            assert (await w.ask(GET)).endswith(b"ok")
            assert w.stable.connections == 1
            w.plane.pools.by_endpoint.clear()
            w.plane.pools.by_decision.clear()
            w.stable.behaviour = chatty
            assert (await w.ask(GET)).endswith(b"ok")
            await w.stable.closed.wait()
            assert (await w.ask(GET)).endswith(b"ok")
            assert w.stable.connections == 3

    run(test())


def test_bytes_behind_a_response_end_the_upstream_connection() -> None:
    """H40."""

    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = w.stable.answering(OK + b"HTTP/1.1 200 OK\r\n")
            assert (await w.ask(GET)).endswith(b"ok")
            assert (await w.ask(GET)).endswith(b"ok")
            assert w.stable.connections == 2

    run(test())


def test_exchanges_that_wait_are_reported_as_overdue() -> None:
    async def test() -> None:
        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = silent
            _, writer = await w.connect()
            writer.write(STAY)
            while not w.starts:
                w.collect()
                await asyncio.sleep(0.01)
            real = w.plane.clock.now
            w.plane.clock.now = lambda: real() + 3
            (overdue,) = w.collect().overdue
            assert (overdue.key.route, overdue.key.version, overdue.count) == ("shop", "stable", 1)

    run(test())


def test_connecting_takes_its_own_time_and_gives_up() -> None:
    """H48."""

    async def test() -> None:
        async with running_cluster(connect_timeout=0.2) as w:
            w.plane.pools.sockets = _Hanging(w.plane.pools.sockets.loop)
            answer = await w.ask(GET)
            assert b"504 Gateway Timeout: connection_timeout" in answer
            w.collect()
            assert w.outcomes == {"timeout": 1}

    run(test())


class _Hanging(Sockets):
    """Sockets whose connections never open."""

    async def connect(self, *_: object) -> None:
        """Wait for ever."""
        await self.loop.create_future()


def test_a_version_without_any_endpoint_is_a_503_that_says_so() -> None:
    """H50."""

    async def test() -> None:
        async with running_cluster() as w:
            route = w.table.routes[0]
            stable = dataclasses.replace(route.stable, endpoints=())
            w.plane.publish(RoutingTable(2, (dataclasses.replace(route, stable=stable),)))
            assert b"503 Service Unavailable: destination_unavailable" in await w.ask(GET)

    run(test())


@pytest.mark.parametrize(("trusted", "seen"), [("127.0.0.0/8", b"6.6.6.6, 127.0.0.1"), ("10.0.0.0/8", b"127.0.0.1")])
def test_forwarding_fields_are_believed_from_trusted_proxies_only(trusted: str, seen: bytes) -> None:
    """H26."""

    async def test() -> None:
        settings = PlaneSettings(trusted_proxies=(ip_network(trusted), ip_network("2001:db8::/32")))
        async with running_cluster(settings=settings) as w:
            await w.ask(GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
            assert b"\r\nX-Forwarded-For: " + seen + b"\r\n" in w.stable.heads[0]
            assert w.plane.client_for("::ffff:127.0.0.1").trusted is (trusted == "127.0.0.0/8")
            assert w.plane.client_for("2001:db8::1%eth0").trusted
            assert not w.plane.client_for("unknown").trusted

    run(test())


def test_draining_finishes_what_is_open_and_tells_clients_to_close() -> None:
    """H52."""

    async def test() -> None:
        go = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await go.wait()
            writer.write(OK)

        async with running_cluster() as w:
            idle, writer = await w.connect()
            writer.write(STAY)
            await read_response(idle)
            w.stable.behaviour = wait
            busy, writer = await w.connect()
            writer.write(STAY)
            draining = asyncio.get_running_loop().create_task(w.plane.drain())
            late, writer = await w.connect()
            writer.write(STAY)
            assert await idle.read() == b""
            go.set()
            for reader in (busy, late):
                head, body = await read_response(reader)
                assert b"Connection: close" in head
                assert body == b"ok"
            assert await draining == 0
            with pytest.raises(ConnectionRefusedError):
                await w.connect()

    run(test())


def test_what_outlasts_the_drain_gets_an_answer_of_ours_and_charged_to_no_version() -> None:
    """H52."""

    async def test() -> None:
        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with running_cluster(timeouts=Timeouts(drain=0.6)) as w:
            w.stable.behaviour = silent
            reader, writer = await w.connect()
            writer.write(STAY)
            await asyncio.sleep(0.05)
            assert await w.plane.drain() == 1
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Connection: close\r\n" in answer
            w.collect()
            assert (w.outcomes, w.codes) == ({"overflow": 1}, {503: 1})

    run(test())


def test_a_deadline_is_never_early() -> None:
    """H49."""

    async def test() -> None:
        async with running_cluster() as w:
            for _ in range(20):
                assert w.plane.clock.deadline_in(1.0) >= w.plane.clock.now() + 1.0
                await asyncio.sleep(0.02)

    run(test())


def test_an_exchange_whose_response_has_begun_waits_for_no_one() -> None:
    async def test() -> None:
        async def streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = streams
            reader, writer = await w.connect()
            writer.write(STAY)
            await reader.readuntil(b"half")
            real = w.plane.clock.now
            w.plane.clock.now = lambda: real() + 3
            delta = w.collect()
            assert (delta.overdue, dict(delta.in_flight)) == ((), {("shop", "stable"): 1})

    run(test())


def test_the_version_s_own_statuses_are_reported_whatever_the_client_got() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            for status in (404, 404, 503, 302):
                w.stable.behaviour = w.stable.answering(
                    b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status
                )
                await w.ask(GET)
            replies: dict[int, int] = {}
            for cell in w.collect().cells:
                for status, count in cell.replies.items():
                    replies[status] = replies.get(status, 0) + count
            assert replies == {404: 2, 503: 1}

    run(test())


def test_a_canary_that_comes_and_goes_under_traffic_costs_no_request_and_sets_no_cookie_while_it_is_away() -> None:
    async def test() -> None:
        cookie = Affinity("cookie", "canaryproxy")
        async with running_cluster(weight=10_000, affinity=cookie) as w:
            w.stable.behaviour, w.canary.behaviour = w.stable.answering(OK), w.canary.answering(OK)
            both = w.table.routes[0]
            plain = dataclasses.replace(both, canary=None, weight=0, affinity=None)
            for generation in range(2, 12):
                route = plain if generation % 2 else both
                w.publish(dataclasses.replace(w.table, routes=(route,)), generation)
                answers = await asyncio.gather(*(w.ask(GET) for _ in range(10)))
                assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
                assert all((b"Set-Cookie" in answer) is (route is both) for answer in answers)
            w.collect()
            assert w.versions == {"stable": 50, "canary": 50}
            assert w.outcomes == {"success": 100}

    run(test())
