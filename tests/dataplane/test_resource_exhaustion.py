"""What this machine lacks is charged to no version, logged now and then, and keeps no client waiting."""

import asyncio
import contextlib
import errno
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane.resource_exhaustion import (
    FILES_PER_CONNECTION,
    FULL,
    LOG_PERIOD_SECONDS,
    RESERVED_FILES,
    UNVERIFIED_ERRORS,
    ResourceExhaustion,
    connection_limit,
    connections_within,
    describe,
    files_for,
    lacks,
    limit,
    no_descriptor,
    reachable,
    send_last,
)
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.tls import client_context
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from canaryproxy.dataplane.upstream_stream import ResponseHandler
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.failure import Failure
from canaryproxy.model.settings import Limits
from canaryproxy.processes.listen import listen_on
from tests.dataplane.test_tls import OURS as TRUSTED
from tests.dataplane.test_tls import secure_origin, to
from tests.support.admin import until
from tests.support.cluster import GET, STAY, Cluster, read_response, reset, run, running_cluster

OURS = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL]
THEIRS = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ECONNRESET, None]


@contextlib.contextmanager
def no_more_files(more: int = 0) -> Iterator[None]:
    """As many as are open now and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling: list[int] = []
    try:
        while not filling or any(map(_free, range(filling[-1]))):
            filling.append(os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (filling[-1] + 1 + more, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in filling:
            os.close(one)


def _free(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shortage(clock: Clock) -> Iterator[ResourceExhaustion]:
    made = ResourceExhaustion(clock)
    yield made
    made.close()


@pytest.mark.parametrize("number", OURS)
def test_what_is_lacking_here_is_ours(
    number: int, shortage: ResourceExhaustion, caplog: pytest.LogCaptureFixture
) -> None:
    assert shortage.caused_here(OSError(number, "x"), "127.0.0.1", 80)
    assert "connections to endpoints could not be opened: " in caplog.text
    assert "charged to no version" in caplog.text


@pytest.mark.parametrize("number", THEIRS)
def test_everything_else_is_theirs(
    number: int | None, shortage: ResourceExhaustion, caplog: pytest.LogCaptureFixture
) -> None:
    assert not shortage.caused_here(OSError() if number is None else OSError(number, "x"), "127.0.0.1", 80)
    assert not caplog.text


def test_an_endpoint_for_which_there_is_no_address_here_is_no_want_of_a_port(shortage: ResourceExhaustion) -> None:
    """EADDRNOTAVAIL stands for both."""
    error = OSError(errno.EADDRNOTAVAIL, "x")
    assert reachable("127.0.0.1", 80)
    assert not reachable("fe80::1", 80)  # no interface is named
    assert not shortage.caused_here(error, "fe80::1", 80)


def test_it_is_logged_at_once_and_then_now_and_then_with_its_number(
    shortage: ResourceExhaustion, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        shortage.note("this")
    shortage.note("that")
    assert [record.getMessage() for record in caplog.records] == [
        "this (1 since the last such line, charged to no version)",
        "that (1 since the last such line, charged to no version)",
    ]
    clock.now = LOG_PERIOD_SECONDS
    shortage.sweep()
    assert "this (4 since the last such line" in caplog.text
    shortage.sweep()
    assert len(caplog.records) == 3


def test_the_last_ones_are_logged_at_the_end(shortage: ResourceExhaustion, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        shortage.note("this")
    shortage.close()
    assert "this (4 since the last such line" in caplog.text
    shortage.close()
    assert len(caplog.records) == 2


def test_each_reason_has_its_remedy() -> None:
    assert str(limit()) in describe(errno.EMFILE)
    assert "fs.file-max" in describe(errno.ENFILE)
    assert "ip_local_port_range" in describe(errno.EADDRNOTAVAIL)
    assert "memory" in describe(errno.ENOMEM)


def test_few_descriptors_left_are_noticed(shortage: ResourceExhaustion) -> None:
    assert not shortage.nearly_out()
    with no_more_files(2):
        assert shortage.nearly_out()
    with no_more_files():
        assert shortage.nearly_out()
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)


def test_no_limit_is_a_high_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert limit() == 2**31


def test_one_that_waits_is_refused_with_the_last_descriptor(shortage: ResourceExhaustion) -> None:
    listening = listen_on("127.0.0.1", 0)
    client = socket.create_connection(listening.getsockname())
    client.sendall(GET)
    with no_more_files():
        assert shortage.refuse(listening, b"no room")
        assert not shortage.refuse(listening, b"no room")  # none waits
    assert client.recv(100) == b"no room"
    assert client.recv(100) == b""
    client.close()
    shortage.close()
    assert not shortage.refuse(listening, b"")
    shortage.close()
    listening.close()


def test_last_words_to_one_who_is_gone_are_no_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        send_last(ours, b"no room")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_last(ours, b"")


# As clients see it.


async def settled(w: Cluster) -> None:
    """Whatever was closed is closed."""
    await asyncio.sleep(0.05)
    w.collect()


def test_a_request_for_which_no_connection_can_be_opened_is_503_and_charged_to_no_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            clients = [await w.connect() for _ in range(6)]
            await settled(w)
            with no_more_files():
                for _, writer in clients:
                    writer.write(STAY)
                heads = [(await read_response(reader))[0] for reader, _ in clients]
            assert {head.split(b" ")[1] for head in heads} == {b"503"}
            assert b"Retry-After: 1" in heads[0]
            w.collect()
            assert dict(w.outcomes) == {"overflow": 6}
            assert w.ejections["stable"] == 0
            clients[0][1].write(STAY)
            assert (await read_response(clients[0][0]))[1] == b"ok"
            assert caplog.text.count("connections to endpoints could not be opened") == 1

    run(test())


@pytest.mark.parametrize("number", OURS)
@pytest.mark.parametrize("weight", [0, 10_000])
@pytest.mark.parametrize("fallback", [frozenset[str](), frozenset({"stable", "canary"})])
def test_whatever_is_lacking_is_charged_to_no_one_and_ejects_nothing(
    number: int,
    weight: int,
    fallback: frozenset[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object) -> None:
        raise OSError(number, "x")

    monkeypatch.setattr(Sockets, "_connect", fail)

    async def test() -> None:
        async with running_cluster(weight=weight, fallback=fallback) as w:
            for _ in range(5):
                assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
            w.collect()
            assert dict(w.outcomes) == {"overflow": 5}
            assert not any(pool.ejected for pool in w.plane.pools.by_endpoint.values())
            assert "127.0.0.1:" not in caplog.text  # no line names an endpoint

    run(test())


def test_no_descriptor_is_distinguished_from_a_few() -> None:
    assert not no_descriptor()
    with no_more_files():
        assert no_descriptor()
    with no_more_files(1):
        assert not no_descriptor()


def test_what_an_error_says_of_this_machine() -> None:
    assert [lacks(OSError(number, "x")) for number in (errno.EMFILE, errno.ENOMEM, errno.ECONNRESET)] == [
        True,
        True,
        False,
    ]
    assert not lacks(None)
    assert not lacks(ValueError())


async def ask_without_files(w: Cluster) -> bytes:
    """The status that a client gets who was there before descriptors ran out."""
    reader, writer = await w.connect()
    await settled(w)
    with no_more_files():
        writer.write(STAY)
        return (await read_response(reader))[0].split(b" ")[1]


def test_a_certificate_that_cannot_be_shown_for_want_of_a_descriptor_is_charged_to_no_one() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            server, port = await secure_origin(w, TRUSTED.identity("shop.internal"), TRUSTED)
            to(w, port, UpstreamTls("shop.internal", TRUSTED.pem, TRUSTED.identity("proxy.internal")))
            assert await ask_without_files(w) == b"503"
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert dict(w.outcomes) == {"overflow": 1, "success": 1}
            server.close()

    run(test())


@pytest.mark.skipif(ssl.get_default_verify_paths().cafile is None, reason="this system has no file of authorities")
def test_authorities_that_could_not_be_read_once_are_read_the_next_time() -> None:
    tls = UpstreamTls("read-again.test")
    with no_more_files(), pytest.raises(OSError, match="Too many open files"):
        client_context(tls)
    assert client_context(tls).cert_store_stats()["x509"] > 0


def test_a_certificate_that_cannot_be_proven_for_want_of_a_descriptor_is_charged_to_no_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ssl.SSLCertVerificationError(1, "unable to get local issuer certificate")

    monkeypatch.setattr(Sockets, "_connect", fail)

    async def test() -> None:
        async with running_cluster() as w:
            assert await ask_without_files(w) == b"503"
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            w.collect()
            assert dict(w.outcomes) == {"overflow": 1, "connect": 1}

    run(test())
    assert UNVERIFIED_ERRORS in caplog.text


def test_a_want_of_memory_is_charged_to_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Sockets, "_connect", fail)

    async def test() -> None:
        async with running_cluster() as w:
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
            w.collect()
            assert dict(w.outcomes) == {"overflow": 1}

    run(test())


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM])
def test_a_connection_that_breaks_for_want_of_memory_is_charged_to_no_one(number: int) -> None:
    failures: list[Failure] = []

    class Waiting(ResponseHandler):
        def upstream_failed(self, failure: Failure, why: str = "") -> None:
            failures.append(failure)

    for answered in (False, True):
        upstream = UpstreamConnection()
        upstream.exchange, upstream.answered = Waiting(), answered
        upstream.connection_lost(OSError(number, "x"))
    assert failures == [Failure.OVERLOADED] * 2


def test_an_endpoint_that_refuses_is_charged_as_ever() -> None:
    async def test() -> None:
        async with running_cluster(stable_port=1) as w:
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            w.collect()
            assert dict(w.outcomes) == {"connect": 1}

    run(test())


def test_idle_connections_give_way_to_one_that_is_needed() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000) as w:
            reader, writer = await w.connect()
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"
            w.publish(replace(w.table, routes=tuple(replace(route, weight=0) for route in w.table.routes)), 2)
            await settled(w)
            with no_more_files():
                writer.write(STAY)
                head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert w.stable.connections == 1

    run(test())


def test_clients_for_whom_no_descriptor_is_left_are_refused_and_not_kept_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            waiting = [socket.socket() for _ in range(5)]
            for one in waiting:
                one.setblocking(False)
            loop = asyncio.get_running_loop()
            await settled(w)
            with no_more_files():
                for one in waiting:
                    await loop.sock_connect(one, ("127.0.0.1", w.port))
                    await loop.sock_sendall(one, GET)
                answers = [await asyncio.wait_for(loop.sock_recv(one, 1000), 5) for one in waiting]
            assert {answer.split(b" ")[1] for answer in answers} == {b"503"}
            assert "clients could not be accepted: this process may not open more than" in caplog.text
            w.collect()
            assert w.refused[503] == 5
            assert not w.outcomes
            for one in waiting:
                one.close()
            assert (await w.ask(GET)).endswith(b"ok")

    run(test())


async def busy(w: Cluster) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client whose request is under way, so that it is not evicted."""

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    w.stable.behaviour = mute
    before = w.stable.connections
    reader, writer = await w.connect()
    writer.write(STAY)
    await until(lambda: w.stable.connections > before)
    return reader, writer


def test_clients_beyond_the_limit_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with running_cluster(limits=Limits(max_connections=1)) as w:
            await busy(w)
            assert (await w.ask(b"")).startswith(b"HTTP/1.1 503 ")
            assert (await w.ask(b"")).startswith(b"HTTP/1.1 503 ")
            assert caplog.text.count(FULL) == 1

    run(test())


def test_a_worker_has_no_more_clients_than_its_own_descriptors_allow() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            w.plane._room = 2
            first, second = await busy(w), await busy(w)
            assert w.plane.at_capacity()
            w.stable.behaviour = w.stable.answering()
            assert (await w.ask(b"")).startswith(b"HTTP/1.1 503 ")
            reset(first[1])
            await until(lambda: not w.plane.at_capacity())
            assert (await w.ask(GET)).endswith(b"ok")
            second[1].close()

    run(test())


@pytest.mark.parametrize(
    ("files", "clients"),
    [(256, 96), (1024, 480), (64, 20), (32, 4), (20_064, 10_000), (4, 1), (1, 1), (2**31, 2**30 - 32)],
)
def test_clients_that_fit(files: int, clients: int) -> None:
    assert connections_within(files) == clients


@given(st.integers(16, 2**31))
def test_some_are_always_left_for_the_rest(files: int) -> None:
    left = files - FILES_PER_CONNECTION * connections_within(files)
    assert left >= min(RESERVED_FILES, files // 4)


@given(st.integers(1, 10**6))
def test_what_is_wanted_is_enough(clients: int) -> None:
    assert connections_within(files_for(clients)) >= min(clients, connections_within(files_for(clients)))
    assert files_for(clients) <= 4 * RESERVED_FILES or connections_within(files_for(clients)) == clients


@given(st.integers(1, 10**6), st.integers(8, 10**6), st.integers(1, 64))
def test_an_instance_never_serves_more_than_it_is_to_or_than_its_workers_can(
    wanted: int, files: int, workers: int
) -> None:
    found = connection_limit(wanted, files, workers)
    assert 1 <= found <= wanted
    assert found <= workers * connections_within(files)
