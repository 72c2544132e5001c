"""Large bodies pass in bounded memory: 1 GiB each way, first through a slow peer, then at full speed."""

import asyncio
import contextlib
import time
import zlib
from collections.abc import Callable

from bench.processes import canaryproxy, family, free_port, rss_bytes, running
from bench.prove import Disproved

GIB, MIB = 1 << 30, 1 << 20
SLOW_SECONDS = 30
BLOCK = bytes(range(256)) * 256
MOST = 32 * MIB
EXPECTED = GIB // len(BLOCK)

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


async def take(reader: asyncio.StreamReader, *, slowly: bool) -> tuple[int, int]:
    """Read 1 GiB, first at 1 MiB/s if `slowly`; returns length and checksum."""
    size = check = 0
    began = time.monotonic()
    while size < GIB:
        if slowly and (spent := time.monotonic() - began) < SLOW_SECONDS and size > spent * MIB:
            await asyncio.sleep(0.05)
            continue
        piece = await reader.read(65_536)
        if not piece:
            break
        size += len(piece)
        check = zlib.crc32(piece, check)
    return size, check


async def give(writer: asyncio.StreamWriter) -> None:
    """Write 1 GiB as fast as it is taken."""
    for _ in range(EXPECTED):
        writer.write(BLOCK)
        await writer.drain()


def checksum() -> int:
    """Of what is sent."""
    check = 0
    for _ in range(EXPECTED):
        check = zlib.crc32(BLOCK, check)
    return check


async def _origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """GET gets 1 GiB; of a POST it takes 1 GiB, slowly at first, and answers with what it saw."""
    with contextlib.closing(writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % GIB)
            await give(writer)
        else:
            size, check = await take(reader, slowly=True)
            body = b"%d %d" % (size, check)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()


async def _download(port: int) -> tuple[int, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        writer.write(b"GET /big HTTP/1.1\r\nHost: prove.test\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        return await take(reader, slowly=True)


async def _upload(port: int) -> tuple[int, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        writer.write(b"POST /big HTTP/1.1\r\nHost: prove.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % GIB)
        await give(writer)
        await reader.readuntil(b"\r\n\r\n")
        size, _, check = (await reader.read()).partition(b" ")
        return int(size), int(check)


def large_bodies() -> str:
    """Download, then upload."""
    return asyncio.run(_large_bodies())


async def _large_bodies() -> str:
    expected = (GIB, await asyncio.to_thread(checksum))
    origin = await asyncio.start_server(_origin, "127.0.0.1", 0)
    backend, listen = origin.sockets[0].getsockname()[1], free_port()
    url = f"http://127.0.0.1:{backend}"
    said: list[str] = []
    ways: tuple[tuple[str, Callable[[int], asyncio.Future[tuple[int, int]]]], ...] = (
        ("download", lambda port: asyncio.ensure_future(_download(port))),
        ("upload", lambda port: asyncio.ensure_future(_upload(port))),
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
            said.append(f"{name} of 1 GiB in {spent:.0f} s, memory grew by {peak.growth / MIB:.1f} MiB")
            if seen != expected or peak.growth >= MOST:
                raise Disproved(f"{said[-1]}; length and checksum {seen}, expected {expected}")
    return "; ".join(said)
