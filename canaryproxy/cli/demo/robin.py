"""The primitive way to a canary: replicas behind a round-robin of connections, as a Service spreads them over pods."""

import asyncio
import contextlib
import itertools

CHUNK = 65_536


class Robin:
    """Passes each new connection on to the next of `replicas`, which are loopback ports."""

    def __init__(self, replicas: list[int]) -> None:
        self.replicas = list(replicas)
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Robin before {self.replicas}>"

    def next(self) -> int:
        """The port for the next connection."""
        return self.replicas[next(self._turn) % len(self.replicas)]

    async def start(self) -> int:
        """Listen on a free loopback port, which is returned."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            upstream, sink = await asyncio.open_connection("127.0.0.1", self.next())
            with contextlib.closing(sink):
                await asyncio.gather(_relay(reader, sink), _relay(upstream, writer))
        writer.close()

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
