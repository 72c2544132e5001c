"""A worker at the end of its link, in the test's own process."""

import asyncio
import logging
import mmap
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from canaryproxy.app.worker import MAX_REPORT_PERIOD_SECONDS, REPORT_PERIOD_SECONDS, Worker, pause_after
from canaryproxy.config import parse
from canaryproxy.control.compile import compile_table, worker_config
from canaryproxy.dataplane.connection_count import memory_size
from canaryproxy.ipc.channel import Channel
from canaryproxy.ipc.messages import AccessLog, Acknowledged, Certificates, Drain, Drained, ListenerSettings, Message
from canaryproxy.ipc.table_diff import EMPTY, diff
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.report import Delta
from canaryproxy.processes.listen import listen_on
from tests.support.admin import until
from tests.support.authority import Authority
from tests.support.cluster import GET, Origin, run

CONFIG = "server: {{timeouts: {{drain: 200ms}}}}\nstable: http://127.0.0.1:{port}\ncanary: http://127.0.0.1:1\nweight: {weight}\n"


END = "-----END CERTIFICATE-----\n"


class Received:
    """What came up the link."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lost = asyncio.Event()
        self.channel = Channel(self.messages.append, self.lost.set)

    def of(self, kind: type[Message]) -> list[Message]:
        """Messages of one kind."""
        return [message for message in self.messages if isinstance(message, kind)]


@asynccontextmanager
async def working(
    port: int = 1, access_log: AccessLog | None = None, tls: ListenerTls | None = None, behind: tuple[Message, ...] = ()
) -> AsyncIterator[tuple[Received, Worker, int]]:
    """A worker that was started, and what came right behind that."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    listening, data = listen_on("127.0.0.1", 0), Received()
    worker = Worker(loop, [listening], mmap.mmap(-1, memory_size(2)))
    await worker.channel.connect(loop, theirs)
    await data.channel.connect(loop, ours)
    config = parse(CONFIG.format(port=port, weight=0), "f", {})
    first = replace(
        worker_config(config, 0, 1, "canaryproxy-x"), table=diff(EMPTY, compile_table(config, 4)), access_log=access_log
    )
    if tls is not None:
        first = replace(first, listeners=(ListenerSettings(tls),))
    for message in (first, *behind):
        data.channel.send(message)
    try:
        yield data, worker, listening.getsockname()[1]
    finally:
        data.channel.abort()
        worker.channel.abort()
        worker.close()
        listening.close()
        await asyncio.sleep(0.02)


def test_it_serves_reports_and_follows_tables(tmp_path: Path) -> None:
    async def test() -> None:
        origin = Origin()
        server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        log = AccessLog(str(tmp_path / "access.log"), "text")
        async with working(port, access_log=log) as (data, worker, at):
            await until(lambda: bool(data.of(Acknowledged)))
            assert data.of(Acknowledged) == [Acknowledged(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", at)
            writer.write(GET)
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            before = compile_table(parse(CONFIG.format(port=port, weight=0), "f", {}), 4)
            data.channel.send(diff(before, compile_table(parse(CONFIG.format(port=port, weight=7), "f", {}), 5)))
            data.channel.send(Certificates((None,)))
            await until(lambda: Acknowledged(5) in data.messages)
            index = data.messages.index(Acknowledged(5))
            assert isinstance(data.messages[index - 1], Delta)
            assert sum(cell.starts for delta in data.messages if isinstance(delta, Delta) for cell in delta.cells) == 1
            data.channel.send(Drain())
            await asyncio.wait_for(data.lost.wait(), 60)
            assert isinstance(data.messages[-1], Drained)
            await asyncio.wait_for(worker.ended.wait(), 60)
        assert (tmp_path / "access.log").read_text().count("\n") == 1
        server.close()
        for task in origin.tasks:
            task.cancel()

    run(test())


def test_it_ends_with_its_link() -> None:
    async def test() -> None:
        async with working() as (data, worker, _):
            await until(lambda: bool(data.of(Acknowledged)))
            data.channel.close()
            await asyncio.wait_for(worker.ended.wait(), 60)

    run(test())


def test_one_that_cannot_begin_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    async def test() -> None:
        async with working(access_log=AccessLog("/nonexistent/access.log", "json")) as (_, worker, __):
            await asyncio.wait_for(worker.ended.wait(), 60)
            assert "worker ends after an internal error" in caplog.text
            assert "No such file or directory: '/nonexistent/access.log'" in caplog.text

    run(test())


def test_what_comes_right_behind_the_beginning_is_not_lost() -> None:
    """A table and a certificate may change while a worker is being started."""
    authority = Authority()
    old, new = (ListenerTls((authority.identity("shop.test"),)) for _ in range(2))
    tables = [compile_table(parse(CONFIG.format(port=1, weight=weight), "f", {}), weight) for weight in (4, 5, 6)]
    begun = compile_table(parse(CONFIG.format(port=1, weight=0), "f", {}), 4)
    behind = (diff(begun, tables[1]), Certificates((new,)), diff(tables[1], tables[2]))

    async def test() -> None:
        async with working(tls=old, behind=behind) as (data, _, at):
            await until(lambda: Acknowledged(6) in data.messages)
            assert data.of(Acknowledged) == [Acknowledged(4), Acknowledged(5), Acknowledged(6)]
            trusting = ssl.create_default_context(cadata=authority.pem.decode())
            _, writer = await asyncio.open_connection("127.0.0.1", at, ssl=trusting, server_hostname="shop.test")
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert shown == ssl.PEM_cert_to_DER_cert(new.identities[0].cert.decode().partition("-----END")[0] + END)
            writer.close()

    run(test())


@pytest.mark.parametrize(
    ("cells", "pause"),
    [
        (0, REPORT_PERIOD_SECONDS),
        (100, REPORT_PERIOD_SECONDS),
        (250, 2.5 * REPORT_PERIOD_SECONDS),
        (500, 1.0),
        (100_000, MAX_REPORT_PERIOD_SECONDS),
    ],
)
def test_the_longer_a_report_the_later_the_next_but_within_a_second(cells: int, pause: float) -> None:
    assert pause_after(cells) == pytest.approx(pause)
    assert pause_after(cells) <= 1.0
