"""Real workers, forked and killed: tables acknowledged, the dead replaced, the hung killed."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.prove.crash import clients_of
from canaryproxy.config import parse
from canaryproxy.control.compile import compile_table, worker_config
from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.codec import Decoder, encode
from canaryproxy.ipc.messages import Acknowledged, Introduction, WorkerConfig
from canaryproxy.model.certificate import CertificateIdentity, ListenerTls
from canaryproxy.model.report import Delta
from canaryproxy.processes import workers as module
from canaryproxy.processes.listen import listen_on
from canaryproxy.processes.spawn import Processes, Spawned
from canaryproxy.processes.subscriptions import Deltas, Subscription, WorkerGone, WorkerReport, WorkersChanged
from canaryproxy.processes.workers import IncompatibleWorkerError, NotAcknowledgedError, Workers
from tests.support.admin import until
from tests.support.cluster import GET, Origin, reset, run


class Fleet:
    """Workers before two origins."""

    def __init__(self, workers: Workers, port: int, ports: tuple[int, int]) -> None:
        self.workers = workers
        self.port = port
        self.ports = ports
        self.generation = 0
        self.deltas: list[tuple[int, Delta]] = []
        self.gone: list[int] = []
        self.origin = Origin()

    def hear(self, news: WorkerReport | WorkerGone | WorkersChanged) -> None:
        """Note what workers report, and who is gone."""
        if isinstance(news, WorkerReport):
            self.deltas.append((news.slot, news.delta))
        elif isinstance(news, WorkerGone):
            self.gone.append(news.slot)

    def publish(self, weight: int) -> int:
        """Send a table; its generation."""
        self.generation += 1
        text = f"stable: http://127.0.0.1:{self.ports[0]}\ncanary: http://127.0.0.1:{self.ports[1]}\nweight: {weight}\n"
        self.workers.publish(compile_table(parse(text, "f", {}), self.generation))
        return self.generation

    async def ask(self) -> bytes:
        """One request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(GET)
        answer = await reader.read()
        writer.close()
        return answer.rpartition(b"\n")[2]


@contextlib.asynccontextmanager
async def fleet(count: int = 2, drain: str = "1s", limits: str = "") -> AsyncIterator[Fleet]:
    origins = Origin(), Origin()
    origins[1].behaviour = origins[1].answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary")
    servers = [await asyncio.start_server(origin.serve, "127.0.0.1", 0) for origin in origins]
    sock = listen_on("127.0.0.1", 0)
    config = parse(
        f"server: {{timeouts: {{drain: {drain}}}, limits: {{{limits}}}}}\nstable: http://a\ncanary: http://b\n", "f", {}
    )
    processes = Processes([sock], count)
    deltas: Deltas = Subscription()
    workers = Workers(count, processes, lambda slot: worker_config(config, slot, count, "canaryproxy-test"), deltas)
    made = Fleet(
        workers, sock.getsockname()[1], (servers[0].sockets[0].getsockname()[1], servers[1].sockets[0].getsockname()[1])
    )
    deltas.subscribe(made.hear)
    made.origin = origins[0]
    made.publish(0)
    await workers.start()
    await until(lambda: len(workers.pids) == count)
    try:
        yield made
    finally:
        workers.abort()
        for server in servers:
            server.close()
        for task in origins[0].tasks | origins[1].tasks:
            task.cancel()
        await asyncio.sleep(0.02)


def test_after_the_acknowledgement_nothing_follows_the_old_table_and_deltas_come_up() -> None:
    async def test() -> None:
        async with fleet() as made:
            for number in range(20):
                await made.workers.acknowledged(made.publish(100 if number % 2 else 0))
                assert {await made.ask() for _ in range(4)} == {b"canary" if number % 2 else b"ok"}
            await until(lambda: sum(c.starts for _, delta in made.deltas for c in delta.cells) == 80)
            assert {slot for slot, _ in made.deltas} == {0, 1}
            assert made.workers.ready == made.workers.count == 2

    run(test())


def test_a_worker_that_dies_is_replaced_and_others_serve_meanwhile() -> None:
    async def test() -> None:
        async with fleet() as made:
            victim = made.workers.pids[0]
            os.kill(victim, signal.SIGKILL)
            await until(lambda: gone(victim))
            for _ in range(20):
                assert await made.ask() == b"ok"
            await until(lambda: made.workers.ready == 2 and made.workers.restarts == 1)
            assert victim not in made.workers.pids
            assert made.gone == [0]
            await made.workers.acknowledged(made.publish(100))
            assert {await made.ask() for _ in range(6)} == {b"canary"}

    run(test())


def test_a_worker_that_hangs_is_killed_and_the_publication_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNACKNOWLEDGED", 3)

    async def test() -> None:
        async with fleet() as made:
            os.kill(made.workers.pids[1], signal.SIGSTOP)
            generation = made.publish(100)
            with pytest.raises(NotAcknowledgedError):
                await made.workers.acknowledged(generation, 0.05)
            await made.workers.acknowledged(generation, 60)
            assert {await made.ask() for _ in range(6)} == {b"canary"}

    run(test())


def test_a_worker_that_says_nothing_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SILENT_TICKS", 5)

    async def test() -> None:
        async with fleet(1) as made:
            os.kill(made.workers.pids[0], signal.SIGSTOP)
            await until(lambda: made.workers.restarts == 1 and made.workers.ready == 1)
            assert "is silent" in caplog.text

    run(test())


def test_one_that_dies_before_it_is_ready_is_replaced_with_growing_patience(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(module, "MIN_BACKOFF_SECONDS", 0.01)

    class Stillborn:
        """Launches nothing."""

        def start(self, cannot_spawn: Callable[[str], None]) -> None:
            """Nothing to do."""

        def spawn(self, _: Spawned) -> socket.socket:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            theirs.close()
            return ours

        def retire(self) -> None:
            """Nothing to do."""

        def abort(self) -> None:
            """Nothing to do."""

    async def test() -> None:
        config = parse("stable: http://a\ncanary: http://b\n", "f", {})
        made = Workers(1, Stillborn(), lambda slot: worker_config(config, slot, 1, "x"), Subscription())
        made.publish(compile_table(config, 1))
        starting = asyncio.get_running_loop().create_task(made.start())
        await until(lambda: made.restarts >= 4)
        starting.cancel()
        made.abort()
        await asyncio.sleep(0.02)
        assert [f"restarting in {delay} s" in caplog.text for delay in ("0.01", "0.02", "0.04")] == [True] * 3

    run(test())


def gone(pid: int) -> bool:
    """Whether a process is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def test_draining_finishes_what_is_open_and_counts_what_is_cut() -> None:
    async def test() -> None:
        async with fleet(drain="300ms") as made:
            made.origin.behaviour = silent
            _, writer = await asyncio.open_connection("127.0.0.1", made.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            await until(lambda: any(delta.in_flight for _, delta in made.deltas))
            assert await made.workers.drain(0.3) == 1
            assert made.workers.draining
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await made.ask()

    run(test())


def test_connections_are_counted_over_all_workers() -> None:
    async def test() -> None:
        async with fleet(limits="max_connections: 3") as made:
            kept = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(3)]
            answering, made.origin.behaviour = made.origin.behaviour, mute
            for _, writer in kept:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: in_flight(made) == 3)
            made.deltas.clear()
            await until(lambda: len(made.deltas) > 4)
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            assert (await reader.read()).startswith(b"HTTP/1.1 503")
            reset(kept[0][1])
            await until(lambda: len(made.deltas) > 0)
            made.deltas.clear()
            await until(lambda: {slot for slot, _ in made.deltas} == {0, 1})
            made.origin.behaviour = answering
            assert await made.ask() == b"ok"
            for _, open_writer in (*kept, (reader, writer)):
                open_writer.close()

    run(test())


async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def in_flight(made: Fleet) -> int:
    """Exchanges open in both workers, by their last reports."""
    last = dict(made.deltas)
    return sum(sum(delta.in_flight.values()) for delta in last.values())


def test_an_idle_client_gives_way_in_whichever_worker_it_is() -> None:
    async def test() -> None:
        async with fleet(limits="max_connections: 3") as made:
            kept = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(3)]
            for reader, writer in kept:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            made.deltas.clear()
            await until(lambda: len(made.deltas) > 4)
            for _ in range(10):
                assert await made.ask() == b"ok"
            await until(lambda: any(reader.at_eof() for reader, _ in kept))
            for _, writer in kept:
                writer.close()

    run(test())


def test_connections_spread_evenly_and_one_worker_takes_all_while_the_other_hangs() -> None:
    async def test() -> None:
        async with fleet() as made:
            kept = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(40)]
            await until(lambda: all(len(clients_of(pid, made.port)) >= 15 for pid in made.workers.pids))
            for _, writer in kept:
                writer.close()
            await until(lambda: not any(clients_of(pid, made.port) for pid in made.workers.pids))
            os.kill(made.workers.pids[0], signal.SIGSTOP)
            answers = await asyncio.wait_for(asyncio.gather(*(made.ask() for _ in range(200))), 60)
            assert answers == [b"ok"] * 200
            os.kill(made.workers.pids[0], signal.SIGCONT)

    run(test())


def test_weights_that_change_while_a_worker_is_replaced_reach_it_too() -> None:
    async def test() -> None:
        async with fleet() as made:
            for number in range(1, 21):
                os.kill(made.workers.pids[number % 2], signal.SIGKILL)
                for weight in (0, 100, 0, 100 * (number % 2)):
                    made.publish(weight)
                    await asyncio.sleep(0.002)
                await made.workers.acknowledged(made.generation)
                await until(lambda: made.workers.ready == 2 and len(made.workers.pids) == 2)
                assert {await made.ask() for _ in range(6)} == {b"canary" if number % 2 else b"ok"}
            assert 10 <= made.workers.restarts <= 20

    run(test())


class Impostor:
    """Launches workers that say who they are and serve at once."""

    def __init__(self) -> None:
        self.introduction: Introduction = own_build()
        self.ends: list[socket.socket] = []
        self.refusing = 0

    def start(self, cannot_spawn: Callable[[str], None]) -> None:
        """Nothing to do."""

    def spawn(self, _: Spawned) -> socket.socket:
        if self.refusing:
            self.refusing -= 1
            raise OSError(24, "Too many open files")
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        theirs.sendall(encode(self.introduction) + encode(Acknowledged(1)))
        self.ends.append(theirs)
        return mine

    def retire(self) -> None:
        """Nothing to do."""

    def abort(self) -> None:
        for end in self.ends:
            end.close()


def among(impostor: Impostor, count: int = 2) -> Workers:
    config = parse("stable: http://a\ncanary: http://b\n", "f", {})
    made = Workers(count, impostor, lambda slot: worker_config(config, slot, count, "x"), Subscription())
    made.publish(compile_table(config, 1))
    return made


def test_a_worker_that_runs_other_code_is_an_error_at_the_start() -> None:
    async def test() -> None:
        impostor = Impostor()
        impostor.introduction = replace(own_build(), version="9.9")
        made = among(impostor)
        with pytest.raises(
            IncompatibleWorkerError, match=r"worker 1 cannot be used: the worker runs canaryproxy 9\.9 "
        ):
            await made.start()
        made.abort()
        await until(lambda: not made._connecting)
        await asyncio.sleep(0.05)
        assert made.ready == 0

    run(test())


def test_later_it_is_not_used_and_without_others_the_instance_is_stranded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MIN_BACKOFF_SECONDS", 0.01)

    async def test() -> None:
        impostor = Impostor()
        made = among(impostor)
        await made.start()
        impostor.introduction = replace(own_build(), compiled=not own_build().compiled)
        impostor.ends[0].close()
        await until(lambda: caplog.text.count("worker 1 cannot be used") >= 2)
        assert made.ready == 1
        assert not made.stranded.is_set()
        impostor.ends[1].close()
        await asyncio.wait_for(made.stranded.wait(), 5)
        assert "cannot be used" in made.problem
        made.abort()
        await until(lambda: not made._connecting)
        await asyncio.sleep(0.05)

    run(test())


def test_one_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Descriptors of our own may have run out."""
    monkeypatch.setattr(module, "MIN_BACKOFF_SECONDS", 0.01)

    async def test() -> None:
        impostor = Impostor()
        impostor.refusing = 3
        made = among(impostor, 1)
        await asyncio.wait_for(made.start(), 5)
        assert caplog.text.count("worker 1 cannot be started: [Errno 24] Too many open files; trying again") == 3
        made.abort()
        await until(lambda: not made._connecting)
        await asyncio.sleep(0.05)

    run(test())


def test_a_fork_server_that_cannot_be_started_is_one_line_for_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        impostor = Impostor()

        def start(_: object) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(impostor, "start", start)
        with pytest.raises(IncompatibleWorkerError, match=r"^the fork server cannot be started: Too many open files$"):
            await among(impostor).start()

    run(test())


async def first_message(end: socket.socket) -> WorkerConfig:
    """The first message to a worker."""
    end.setblocking(False)
    decoder = Decoder()
    async with asyncio.timeout(60):
        while True:
            for message in decoder.feed(await asyncio.get_running_loop().sock_recv(end, 65536)):
                assert isinstance(message, WorkerConfig)
                return message


def test_a_successor_begins_with_what_its_fellows_began_with_and_the_newest_certificates() -> None:
    """Whatever the config says by then: with another number of listeners it would serve the wrong ones."""
    newest = ListenerTls((CertificateIdentity(b"newer", b"key"),))

    async def test() -> None:
        impostor = Impostor()
        made = among(impostor)
        await made.start()
        was = [await first_message(end) for end in impostor.ends]
        made.update_certificates([newest])
        impostor.ends[1].close()
        await until(lambda: len(impostor.ends) == 3)
        now = await first_message(impostor.ends[2])
        assert [one.tls for one in now.listeners] == [newest]
        assert replace(now, listeners=was[1].listeners) == was[1]
        made.abort()
        await until(lambda: not made._connecting)
        await asyncio.sleep(0.05)

    run(test())
