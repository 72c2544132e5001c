"""An upstream with an illness: `python -m bench.prove.unhealthy PORT ILLNESS`.

ILLNESS is `error` (503 to everything), `hang` (reads, never answers), `late=S` (answers after so many seconds), or
`rate=N` (answers N requests a second in all, the others wait).
"""

import asyncio
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ERROR = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 6\r\n\r\nbroken"


class Ailing(asyncio.Protocol):
    """One connection; requests have no body."""

    turn = 0.0
    transport: asyncio.Transport

    def __init__(self, illness: str) -> None:
        self._kind, _, number = illness.partition("=")
        self._number = float(number or 0)
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer every complete head, as the illness has it."""
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for _ in heads:
            self._answer()

    def _answer(self) -> None:
        loop = asyncio.get_running_loop()
        if self._kind == "error":
            self.transport.write(ERROR)
        elif self._kind == "late":
            loop.call_later(self._number, self.transport.write, OK)
        elif self._kind == "rate":
            Ailing.turn = max(Ailing.turn + 1 / self._number, loop.time())
            loop.call_at(Ailing.turn, self.transport.write, OK)


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Ailing(sys.argv[2]), "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
