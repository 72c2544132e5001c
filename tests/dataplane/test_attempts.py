"""What happens when an endpoint fails: who answers, who is charged. H58, H59, H60, H61."""

import asyncio
import dataclasses
import socket
from typing import Any

import pytest

from bench.ports import free_port
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Endpoint, Version
from tests.support.cluster import GET, OK, STAY, Cluster, read_head, read_response, reset, run, running_cluster

POST = b"POST / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
BOTH = frozenset(("stable", "canary"))


async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def read_and_refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    reset(writer)


def with_endpoints(w: Cluster, name: str, *ports: int, **changes: Any) -> None:
    """Let a version stand on these ports of this machine."""
    route = w.table.routes[0]
    version: Version = getattr(route, name)
    moved = dataclasses.replace(version, endpoints=tuple(Endpoint("127.0.0.1", port) for port in ports))
    sides: dict[str, Any] = {name: moved}
    changed = dataclasses.replace(route, **sides, **changes)
    w.publish(dataclasses.replace(w.table, routes=(changed,)), w.table.generation + 1)


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_canary_that_refuses_connections_costs_no_client_a_failure_and_is_charged(request_bytes: bytes) -> None:
    async def test() -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await read_head(reader)
            body = await reader.readexactly(4) if b"POST" in head else b""
            w.stable.heads.append(head + body)
            writer.write(OK)

        async with running_cluster(weight=10_000) as w:
            w.stable.behaviour = take
            with_endpoints(w, "canary", free_port())
            assert (await w.ask(request_bytes)).endswith(b"ok")
            assert request_bytes.endswith(b"body") is w.stable.heads[0].endswith(b"body")
            w.collect()
            assert w.outcomes_of == {("canary", "unavailable"): 1}
            assert (w.codes, w.rescues, w.versions) == ({200: 1}, {"fallback": 1}, {"canary": 1})

    run(test())


def test_a_canary_without_any_endpoint_is_answered_by_stable_and_charged() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000) as w:
            with_endpoints(w, "canary")
            assert (await w.ask(GET)).endswith(b"ok")
            delta = w.collect()
            assert w.outcomes_of == {("canary", "unavailable"): 1}
            assert delta.cells[0].key.endpoint == ""
            assert not delta.cells[0].latency

    run(test())


@pytest.mark.parametrize("ports", [1, 0], ids=["refusing", "none"])
def test_without_fallback_an_unreachable_canary_is_an_honest_503(ports: int) -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, fallback=frozenset()) as w:
            with_endpoints(w, "canary", *(free_port() for _ in range(ports)))
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After:" in answer
            w.collect()
            assert not w.stable.heads
            assert list(w.outcomes) == ["connect" if ports else "unavailable"]

    run(test())


def test_a_reset_before_any_answer_is_answered_by_stable_where_the_request_may_be_repeated() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000) as w:
            w.canary.behaviour = read_and_refuse
            assert (await w.ask(GET)).endswith(b"ok")
            assert (await w.ask(POST)).startswith(b"HTTP/1.1 502 ")
            w.collect()
            assert w.outcomes_of == {("canary", "reset"): 2}
            assert (w.rescues, w.codes) == ({"fallback": 1}, {200: 1, 502: 1})
            assert len(w.stable.heads) == 1

    run(test())


def test_the_keep_alive_race_is_lost_with_a_body_and_the_endpoint_gets_all_of_it_again() -> None:
    """What was sent is kept, and so is what comes while there is no connection."""

    async def test() -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await read_head(reader)
            if b"Content-Length: 10\r\n" not in head:
                writer.write(OK)
                await read_head(reader)
                await reader.readexactly(5)
                reset(writer)
                again.set()
                return
            bodies.append(await reader.readexactly(10))
            writer.write(OK)

        bodies: list[bytes] = []
        again = asyncio.Event()
        async with running_cluster() as w:
            w.stable.behaviour = take
            reader, writer = await w.connect()
            writer.write(STAY)
            await read_response(reader)
            writer.write(b"PUT / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\n01234")
            await again.wait()
            writer.write(b"567")
            await asyncio.sleep(0.02)
            writer.write(b"89")
            assert (await read_response(reader))[1] == b"ok"
            assert bodies == [b"0123456789"]
            w.collect()
            assert (w.outcomes_of, w.codes) == ({("stable", "success"): 2}, {200: 2})

    run(test())


def test_a_repeatable_body_goes_to_the_stand_in_whole() -> None:
    async def test() -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await read_head(reader)
            w.stable.heads.append(head + await reader.readexactly(10))
            writer.write(OK)

        async def take_some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await reader.readexactly(5)
            go.set()
            reset(writer)

        async with running_cluster(weight=10_000) as w:
            go = asyncio.Event()
            w.stable.behaviour, w.canary.behaviour = take, take_some
            reader, writer = await w.connect()
            writer.write(b"PUT / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\n01234")
            await go.wait()
            writer.write(b"56789")
            assert (await read_response(reader))[1] == b"ok"
            assert w.stable.heads[0].endswith(b"\r\n\r\n0123456789")

    run(test())


def test_one_of_several_endpoints_that_refuses_is_passed_over_then_ejected() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            with_endpoints(w, "stable", free_port(), w.stable_port)
            for _ in range(60):
                assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert w.outcomes["connect"] == 3
            assert w.outcomes["success"] == 57
            assert w.retried["success"] == 3
            assert w.ejections["stable"] == 1
            assert len(w.plane.deltas().ejected) == 1

    run(test())


def test_the_last_endpoint_of_a_version_is_never_ejected() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            with_endpoints(w, "stable", free_port())
            for _ in range(10):
                assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            w.collect()
            assert not w.plane.deltas().ejected
            assert w.ejections["stable"] == 0

    run(test())


def test_errors_that_a_version_answers_itself_never_eject_it() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            with_endpoints(w, "stable", w.stable_port, w.canary_port)
            w.canary.behaviour = w.stable.behaviour
            for _ in range(20):
                await w.ask(GET)
            assert not w.plane.deltas().ejected

    run(test())


def test_the_reverse_fallback_serves_stable_from_the_canary_unless_it_is_aborted() -> None:
    async def test() -> None:
        async with running_cluster(fallback=BOTH) as w:
            with_endpoints(w, "stable", free_port())
            assert (await w.ask(GET)).endswith(b"ok")
            assert len(w.canary.heads) == 1
            w.collect()
            assert w.outcomes_of == {("stable", "unavailable"): 1}
            with_endpoints(w, "stable", free_port(), aborted=True)
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            assert len(w.canary.heads) == 1

    run(test())


def test_no_second_attempt_goes_to_a_canary_that_was_aborted_meanwhile() -> None:
    async def test() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(OK)
            await read_head(reader)
            held.set()
            await go.wait()
            reset(writer)

        async with running_cluster(weight=10_000) as w:
            held, go = asyncio.Event(), asyncio.Event()
            w.canary.behaviour = hold
            reader, writer = await w.connect()
            writer.write(STAY)
            await read_response(reader)
            writer.write(STAY)
            await held.wait()
            with_endpoints(w, "canary", w.canary_port, aborted=True)
            go.set()
            assert (await read_response(reader))[1] == b"ok"
            assert len(w.stable.heads) == 1
            assert w.canary.connections == 1

    run(test())


def test_a_request_that_is_moved_keeps_its_id_and_is_sent_its_true_version() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, add_version=True) as w:
            w.canary.behaviour = read_and_refuse
            heads: list[bytes] = []

            async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                heads.append(await read_head(reader))
                reset(writer)

            w.canary.behaviour = note
            answer = await w.ask(GET)
            assert b"X-Canary-Version: stable\r\n" in answer
            (ours,) = [line for line in heads[0].split(b"\r\n") if line.startswith(b"X-Request-Id")]
            assert ours in w.stable.heads[0]
            assert b"X-Canary-Version: stable\r\n" in w.stable.heads[0]

    run(test())


def test_a_version_takes_only_so_many_exchanges_at_a_time_and_sheds_the_rest_honestly() -> None:
    async def test() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            arrived.release()
            await go.wait()
            writer.write(OK)

        async with running_cluster(weight=10_000) as w:
            arrived, go = asyncio.Semaphore(0), asyncio.Event()
            w.canary.behaviour = hold
            route = w.table.routes[0]
            canary = dataclasses.replace(route.versions[1], max_in_flight=2)
            w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(route, canary=canary),)), 2)
            asked = [asyncio.ensure_future(w.ask(GET)) for _ in range(2)]
            await arrived.acquire()
            await arrived.acquire()
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After:" in answer
            go.set()
            assert all(one.endswith(b"ok") for one in await asyncio.gather(*asked))
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert w.outcomes == {"success": 3, "overflow": 1}
            assert not +w.plane.pools.in_flight

    run(test())


def test_a_connect_timeout_is_moved_on_from_like_a_refusal() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, connect_timeout=0.1) as w:
            deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(deaf.getsockname())
            with_endpoints(w, "canary", deaf.getsockname()[1])
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert w.outcomes_of == {("canary", "unavailable"): 1}
            for one in (deaf, *waiting):
                one.close()

    run(test())


def test_loads_are_balanced_by_what_is_in_flight() -> None:
    async def test() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                await asyncio.sleep(0.05)
                writer.write(OK)

        async with running_cluster() as w:
            w.canary.behaviour = slow
            with_endpoints(w, "stable", w.stable_port, w.canary_port)
            connections = [await w.connect() for _ in range(8)]

            async def go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                for _ in range(40):
                    writer.write(STAY)
                    await read_response(reader)

            await asyncio.gather(*(go(*connection) for connection in connections))
            w.collect()
            assert len(w.stable.heads) > 250
            assert all(pool.in_flight == 0 for pool in w.plane.pools.by_endpoint.values())

    run(test())


def test_an_aborted_canary_loses_what_is_still_open_after_its_drain() -> None:
    async def test() -> None:
        from canaryproxy.model.settings import Timeouts

        async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            await reader.read()

        async with running_cluster(weight=10_000, timeouts=Timeouts(abort_drain=0.1)) as w:
            w.canary.behaviour = stream
            reader, writer = await w.connect()
            writer.write(STAY)
            await reader.readuntil(b"hi\r\n")
            with_endpoints(w, "canary", w.canary_port, aborted=True)
            assert await reader.read() == b""
            w.collect()
            assert w.outcomes == {"overflow": 1}

    run(test())


@pytest.mark.parametrize("aborted", [False, True])
@pytest.mark.parametrize(
    "rules",
    [(), (Rule("r", (), "stable", 10_000, preview=True),), (Rule("r", (), "canary", 0, preview=True),)],
    ids=["weight", "to stable", "outside"],
)
def test_what_stable_breaks_goes_to_the_canary_unless_that_was_aborted_meanwhile(
    rules: tuple[Rule, ...], aborted: bool
) -> None:
    async def test() -> None:
        async with running_cluster(fallback=BOTH, rules=rules) as w:
            here, go = asyncio.Event(), asyncio.Event()

            async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await read_head(reader)
                here.set()
                await go.wait()
                reset(writer)

            w.stable.behaviour = breaks
            asked = asyncio.create_task(w.ask(GET))
            await here.wait()
            route = dataclasses.replace(w.table.routes[0], aborted=aborted)
            w.publish(dataclasses.replace(w.table, routes=(route,)), 2)
            go.set()
            answer = await asked
            assert (len(w.canary.heads), b" 200 " in answer[:20]) == ((0, False) if aborted else (1, True))

    run(test())
