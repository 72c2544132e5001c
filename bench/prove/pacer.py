"""Requests at a steady rate, stamped like those of `stamped.lua`, from a process of its own.

    python -m bench.prove.pacer PORT RATE

Ends when its standard input does, and then prints every failure, one a
line: the port that it was sent from, and what came.
"""

import asyncio
import subprocess
import sys
import time

CONNECTIONS = 20


def start(port: int, rate: int) -> "subprocess.Popen[str]":
    """Begin."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.prove.pacer", str(port), str(rate)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: "subprocess.Popen[str]") -> list[str]:
    """End, and what failed."""
    return process.communicate(timeout=30)[0].splitlines()


async def _client(port: int, rate: float, failures: list[str], stop: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    while not stop.is_set():
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(b"GET /at/%d HTTP/1.1\r\nHost: shop.test\r\n\r\n" % time.time_ns())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            failures.append(f"{writer.get_extra_info('sockname')[1]} {error!r}")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        if not head.startswith(b"HTTP/1.1 200"):
            failures.append(f"{writer.get_extra_info('sockname')[1]} {head.partition(bytes([13]))[0].decode()}")
    writer.close()


async def _main(port: int, rate: int) -> None:
    failures: list[str] = []
    stop = asyncio.Event()
    clients = [asyncio.create_task(_client(port, rate / CONNECTIONS, failures, stop)) for _ in range(CONNECTIONS)]
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await asyncio.gather(*clients)
    for failure in failures:
        print(failure)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
