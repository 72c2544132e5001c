"""The data-plane process: a `DataPlane` at the end of an IPC channel.

A worker lives as long as its channel: without the supervisor its table cannot be updated. Signals of the process group
(Ctrl-C) are ignored: the supervisor orders workers to drain.
"""

import asyncio
import gc
import logging
import mmap
import signal
import socket
import time
from collections.abc import Coroutine
from ipaddress import ip_network
from typing import Any

import uvloop
from setproctitle import setproctitle

from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.dataplane.memory_limit import cgroup_memory
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.resource_exhaustion import connections_within, limit
from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.channel import Channel
from canaryproxy.ipc.codec import DOWN
from canaryproxy.ipc.messages import Acknowledged, Certificates, Drain, Drained, Message, Publication, WorkerConfig
from canaryproxy.ipc.table_diff import EMPTY, apply
from canaryproxy.log import in_background
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.routing.patterns import PatternSet
from canaryproxy.telemetry.record.access_log import FORMATS
from canaryproxy.telemetry.record.log_writer import AccessLogWriter
from canaryproxy.time_slice import shorten

log = logging.getLogger("canaryproxy")

# Seconds between two deltas.
REPORT_PERIOD_SECONDS = 0.25
MAX_REPORT_PERIOD_SECONDS = 1.0

# Cells of a delta above which the next one waits in proportion: a worker must not spend its time on reports.
FEW_CELLS = 100

# Thresholds of the three generations. With 10,000, collections hold the loop for 3 to 5 ms twice a second.
GC_GEN0_THRESHOLD, YOUNG_ROUNDS, OLD_ROUNDS = 1_000, 4, 100


class Worker:
    """Serves inherited listening sockets as ordered over `channel`. `memory` is shared by all workers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sockets: list[socket.socket], memory: mmap.mmap) -> None:
        self._loop = loop
        self._sockets = sockets
        self._memory = memory
        self._table = EMPTY
        self._plane: DataPlane | None = None
        self._log_writer: AccessLogWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()
        self.channel = Channel(self._received, self.ended.set, DOWN)

    def __repr__(self) -> str:
        return f"<Worker {self._plane!r}>"

    def _received(self, message: Message) -> None:
        """An exception closes the channel and ends the worker; the supervisor starts another one."""
        try:
            self._follow(message)
        except Exception:
            log.exception("worker ends after an internal error")
            raise

    def _follow(self, message: Message) -> None:
        plane = self._plane
        if isinstance(message, WorkerConfig):
            self._begin(message)
        elif plane is None:
            raise RuntimeError(f"{type(message).__name__} came before the beginning")
        elif isinstance(message, Publication):
            self._publish(plane, message)
        elif isinstance(message, Certificates):
            plane.update_certificates(list(message.listeners))
        elif isinstance(message, Drain):
            self._go(self._drain(plane))

    def _go(self, steps: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(steps)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A worker whose report or drain task failed is useless: end it."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("worker ends after an internal error", exc_info=task.exception())
            self.ended.set()

    def _begin(self, begin: WorkerConfig) -> None:
        setproctitle(f"canaryproxy: worker {begin.slot + 1}")
        shorten()
        if begin.access_log is not None:
            self._log_writer = AccessLogWriter(begin.access_log.path, FORMATS[begin.access_log.format], clock=time.time)
        PatternSet.warn = log.warning
        limited = cgroup_memory()
        plane = self._plane = DataPlane(
            PlaneSettings(begin.limits, begin.timeouts, tuple(map(ip_network, begin.trusted)), begin.forwarding),
            loop=self._loop,
            identity=begin.identity,
            access_log=None if self._log_writer is None else self._log_writer.put,
            connection_count=SharedConnectionCount(self._memory, begin.slot),
            secret=begin.secret,
            room=connections_within(limit()),
            memory=None if limited is None else limited.share,
        )
        self._table = apply(EMPTY, begin.table)
        plane.publish(self._table)
        for sock, listening in zip(self._sockets, begin.listeners, strict=True):
            plane.listen(sock, listening.tls, proxy_protocol=listening.proxy_protocol)
        self.channel.send(Acknowledged(self._table.generation))
        self._go(self._report(plane))

    def _publish(self, plane: DataPlane, publication: Publication) -> None:
        """Send what was counted under the old table, then decide the next request head by the new one."""
        self._table = apply(self._table, publication)
        self.channel.send(plane.deltas())
        plane.publish(self._table)
        self.channel.send(Acknowledged(publication.generation))

    async def _report(self, plane: DataPlane) -> None:
        """Send deltas, which are also the heartbeat. While the supervisor does not read, counts accumulate here."""
        pause = REPORT_PERIOD_SECONDS
        while True:
            await asyncio.sleep(pause)
            if not self.channel.congested:
                delta = plane.deltas()
                self.channel.send(delta)
                pause = pause_after(len(delta.cells))

    async def _drain(self, plane: DataPlane) -> None:
        cut = await plane.drain()
        self.channel.send(plane.deltas())
        self.channel.send(Drained(cut))
        self.channel.close()

    def close(self) -> None:
        """Close what is still open."""
        for task in self._tasks:
            task.cancel()
        if self._plane is not None:
            self._plane.abort()
        if self._log_writer is not None:
            self._log_writer.close()


def pause_after(cells: int) -> float:
    """Seconds until the next delta, after one with so many cells."""
    return min(max(cells / FEW_CELLS, 1.0) * REPORT_PERIOD_SECONDS, MAX_REPORT_PERIOD_SECONDS)


async def _live(link: socket.socket, sockets: list[socket.socket], memory: mmap.mmap) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(loop, sockets, memory)
    worker.channel.send(own_build())
    await worker.channel.connect(loop, link)
    # Objects made at start live as long as the process: keep them out of every later collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_GEN0_THRESHOLD, YOUNG_ROUNDS, OLD_ROUNDS)
    await worker.ended.wait()
    worker.close()


def run(link: socket.socket, sockets: list[socket.socket], memory: mmap.mmap) -> None:
    """Run a worker process until its channel closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with in_background(), runner() as running:
        running.run(_live(link, sockets, memory))


def runner() -> asyncio.Runner:
    """An `asyncio.Runner` on uvloop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
