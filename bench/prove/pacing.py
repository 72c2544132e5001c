"""Requests at a steady rate, stamped like those of `stamped.lua`, from a process of its own.

    python -m bench.prove.pacing PORT RATE [ROUTES]

With ROUTES the requests go to r0.test, r1.test and so on in turn. Ends when
its standard input does, and then prints every failure, one a line: the port
that it was sent from, and what came.
"""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

CONNECTIONS = 100


def start(port: int, rate: int, routes: int = 0) -> "subprocess.Popen[str]":
    """Begin."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.prove.pacing", str(port), str(rate), str(routes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> list[str]:
    """End, and what failed."""
    return process.communicate(timeout=30)[0].splitlines()


async def _client(port: int, rate: float, hosts: Iterator[bytes], failures: list[str], stop: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    while not stop.is_set():
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(b"GET /at/%d HTTP/1.1\r\nHost: %b\r\n\r\n" % (time.time_ns(), next(hosts)))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            failures.append(f"{writer.get_extra_info('sockname')[1]} {error!r}")
            reader, writer = await _again(port, stop)
            continue
        if not head.startswith(b"HTTP/1.1 200"):
            failures.append(f"{writer.get_extra_info('sockname')[1]} {head.partition(bytes([13]))[0].decode()}")
    writer.close()


async def _again(port: int, stop: asyncio.Event) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Another connection, as soon as there is a server to connect to."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if stop.is_set():
                raise
            await asyncio.sleep(0.02)


async def _main(port: int, rate: int, routes: int) -> None:
    hosts = itertools.cycle([b"r%d.test" % number for number in range(routes)] or [b"shop.test"])
    failures: list[str] = []
    stop = asyncio.Event()
    clients = [
        asyncio.create_task(_client(port, rate / CONNECTIONS, hosts, failures, stop)) for _ in range(CONNECTIONS)
    ]
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await asyncio.gather(*clients, return_exceptions=True)
    for failure in failures:
        print(failure)


if __name__ == "__main__":
    asyncio.run(_main(*map(int, sys.argv[1:])))
