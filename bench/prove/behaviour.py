"""A version whose behaviour is controlled by parameters: `python -m bench.prove.behaviour PORT [NAME=VALUE ...]`.

Answers take `late` seconds and a random bit more, all of it `times` as long; a share `errors` of them is a 500; a share
`carts` says in `X-Cart` that something was put into the cart; each costs `cpu` seconds of CPU; beyond `limit` a second
(0 for none) the rest are a 500. `PUT /behave/NAME/VALUE`
changes one of these. `GET /first` tells when the first request came (seconds since 1970, 0 before), and starts over;
`GET /metrics` tells of the process, as every Prometheus client library does.
"""

import asyncio
import random
import sys
import time

from prometheus_client import REGISTRY, generate_latest

JITTER = 0.25
"""Standard deviation of the logarithm of what is random in a delay."""


class Behaviour:
    """How it behaves now, and what it has seen."""

    def __init__(self, data: list[str]) -> None:
        self.ways = {"late": 0.02, "times": 1.0, "errors": 0.0, "carts": 0.0, "cpu": 0.0, "limit": 0.0}
        self.first = 0.0
        self._second = self._count = 0
        for one in data:
            self.tell(*one.split("="))

    def tell(self, name: str, value: str) -> None:
        """Behave so from now on; with a `seed` the dice are those of that seed."""
        if name == "seed":
            random.seed(int(value))
        else:
            self.ways[name] = float(value)

    def delay(self) -> float:
        """Seconds until the next answer."""
        return self.ways["times"] * (self.ways["late"] + 0.25 * self.ways["late"] * random.lognormvariate(0, JITTER))

    def spend(self) -> None:
        """Work for the next answer."""
        until = time.thread_time() + self.ways["cpu"]
        while time.thread_time() < until:
            pass

    def answer(self) -> bytes:
        """The next answer."""
        if random.random() < self.ways["errors"] or self._overloaded():
            return response(b"broken", b"500 Internal Server Error")
        return response(b"ok", more=b"X-Cart: 1\r\n" if random.random() < self.ways["carts"] else b"")

    def _overloaded(self) -> bool:
        second = int(time.monotonic())
        self._second, self._count = second, (self._count if second == self._second else 0) + 1
        return 0 < self.ways["limit"] < self._count


def response(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """A whole response."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


class Version(asyncio.Protocol):
    """One connection; requests have no body."""

    transport: asyncio.Transport

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer every complete head."""
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for head in heads:
            self._answer(head.split()[1].decode())

    def _answer(self, path: str) -> None:
        behaviour = self._behaviour
        if path.startswith("/behave/"):
            behaviour.tell(*path.split("/")[2:])
            self.transport.write(response(b"ok"))
        elif path == "/first":
            self.transport.write(response(b"%.6f" % behaviour.first))
            behaviour.first = 0.0
        elif path == "/metrics":
            self.transport.write(response(generate_latest(REGISTRY)))
        else:
            behaviour.first = behaviour.first or time.time()
            behaviour.spend()
            asyncio.get_running_loop().call_later(behaviour.delay(), self.transport.write, behaviour.answer())


async def main() -> None:
    """Serve until the process is ended."""
    behaviour = Behaviour(sys.argv[2:])
    server = await asyncio.get_running_loop().create_server(
        lambda: Version(behaviour), "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
