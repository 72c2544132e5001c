"""Large bodies pass in bounded memory, each way: first through a slow peer, then at full speed."""

import asyncio
import contextlib
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.ports import free_port
from bench.processes import canaryproxy, family, rss_bytes, running
from bench.prove import DisprovedError

MIB = 1 << 20
BLOCK = bytes(range(256)) * 256
MOST = 32 * MIB

PROCESSES = 3
"""Supervisor, fork server, and one worker at least."""

SETTLED = 0.5
"""Seconds without a change."""


def resident(pid: int) -> int:
    """Bytes of a process and its children."""
    return sum(map(rss_bytes, family(pid)))


async def settled(pid: int) -> None:
    """Return once all processes are there and have loaded what they need."""
    before = -1
    while (now := resident(pid)) != before or len(family(pid)) < PROCESSES:
        before = now
        await asyncio.sleep(SETTLED)


class Peak:
    """The largest growth of a process's memory while it is watched."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._base = resident(pid)
        self.growth = 0

    async def watch(self) -> None:
        """Look every 50 ms until cancelled."""
        while True:
            self.growth = max(self.growth, resident(self._pid) - self._base)
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies of `mebibytes`; the receiver takes 1 MiB/s for `slow_seconds`, then what comes."""

    mebibytes: int
    slow_seconds: float

    @property
    def size(self) -> int:
        """Bytes of a body."""
        return self.mebibytes * MIB

    async def take(self, reader: asyncio.StreamReader) -> tuple[int, int]:
        """Read a body; its length and checksum."""
        size = check = 0
        began = time.monotonic()
        while size < self.size:
            if (spent := time.monotonic() - began) < self.slow_seconds and size > spent * MIB:
                await asyncio.sleep(0.05)
                continue
            piece = await reader.read(65_536)
            if not piece:
                break
            size += len(piece)
            check = zlib.crc32(piece, check)
        return size, check

    async def give(self, writer: asyncio.StreamWriter) -> None:
        """Write a body as fast as it is taken."""
        for _ in range(self.size // len(BLOCK)):
            writer.write(BLOCK)
            await writer.drain()

    def checksum(self) -> int:
        """Of what is sent."""
        check = 0
        for _ in range(self.size // len(BLOCK)):
            check = zlib.crc32(BLOCK, check)
        return check

    async def origin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """GET gets a body; a POST's is taken and answered with its length and checksum."""
        with contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % self.size)
                await self.give(writer)
            else:
                body = b"%d %d" % await self.take(reader)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
                )
            await writer.drain()

    async def download(self, port: int) -> tuple[int, int]:
        """Length and checksum of what a GET brings."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            writer.write(b"GET /big HTTP/1.1\r\nHost: prove.test\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            return await self.take(reader)

    async def upload(self, port: int) -> tuple[int, int]:
        """Length and checksum of what the origin saw of a POST."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            writer.write(
                b"POST /big HTTP/1.1\r\nHost: prove.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % self.size
            )
            await self.give(writer)
            await reader.readuntil(b"\r\n\r\n")
            size, _, check = (await reader.read()).partition(b" ")
            return int(size), int(check)


def large_bodies(mebibytes: int = 1024, slow_seconds: float = 30) -> str:
    """Download, then upload."""
    return asyncio.run(_large_bodies(Bodies(mebibytes, slow_seconds)))


async def _large_bodies(bodies: Bodies) -> str:
    expected = (bodies.size, await asyncio.to_thread(bodies.checksum))
    origin = await asyncio.start_server(bodies.origin, "127.0.0.1", 0)
    backend, listen = origin.sockets[0].getsockname()[1], free_port()
    url = f"http://127.0.0.1:{backend}"
    said: list[str] = []
    ways: tuple[tuple[str, Callable[[int], Awaitable[tuple[int, int]]]], ...] = (
        ("download", bodies.download),
        ("upload", bodies.upload),
    )
    command = canaryproxy("--stable", url, "--canary", url, "--listen", f"127.0.0.1:{listen}")
    async with origin:
        for name, way in ways:
            with running(command, port=listen) as pid:
                await settled(pid)
                peak = Peak(pid)
                watching = asyncio.ensure_future(peak.watch())
                began = time.monotonic()
                seen = await way(listen)
                spent = time.monotonic() - began
                watching.cancel()
            said.append(
                f"{name} of {bodies.mebibytes:,} MiB in {spent:.0f} s, memory grew by {peak.growth / MIB:.1f} MiB"
            )
            if seen != expected or peak.growth >= MOST:
                raise DisprovedError(f"{said[-1]}; length and checksum {seen}, expected {expected}")
    return "; ".join(said)
