"""A name whose addresses come and go: only what was in flight on a removed address may fail."""

import asyncio
from collections import Counter

import uvloop

from bench.ports import free_port
from bench.prove import DisprovedError
from bench.prove.canary import OK, Counts, client
from canaryproxy.app.instance import Instance
from canaryproxy.config import parse
from canaryproxy.probes import resolve

CLIENTS = 20
PHASE = 2.0
PERIOD = 0.2
"""Seconds between look-ups here; the proxy itself takes 5."""


class Addresses:
    """Servers on addresses of this machine, and the name server that knows some of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._servers: dict[str, asyncio.Server] = {}
        self.known: tuple[str, ...] = ()
        self.served: Counter[str] = Counter()

    async def lookup(self, _: str) -> tuple[str, ...]:
        """What the name means now."""
        if not self.known:
            raise OSError(-2, "Name or service not known")
        return self.known

    async def add(self, address: str) -> None:
        """A pod comes up, then the name knows it."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    self.served[address] += 1
                    writer.write(OK % (4, b"pong"))
            except (asyncio.IncompleteReadError, OSError):
                writer.close()

        self._servers[address] = await asyncio.start_server(serve, address, self._port)
        self.known = (*self.known, address)

    def forget(self, *addresses: str) -> None:
        """The name no longer knows them."""
        self.known = tuple(one for one in self.known if one not in addresses)

    def close(self, address: str) -> None:
        """The pod goes away: no new connections."""
        self._servers[address].close()


def names_come_and_go() -> str:
    """An address is added, one removed, all vanish, they come back."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_names_come_and_go())


async def _names_come_and_go() -> str:
    resolve.PERIOD_SECONDS = PERIOD
    pods = Addresses(free_port())
    await pods.add("127.0.0.1")
    origin = f"http://shop.internal:{pods._port}"  # noqa: SLF001
    text = (
        "server: {listen: '127.0.0.1:0', admin: {listen: '127.0.0.1:0'}, state: memory}\n"
        f"stable: {origin}\ncanary: {origin}\nweight: 50\n"
    )
    counts, said = Counts(), []
    instance = Instance(parse(text, "prove", {}), report=counts.add, lookup=pods.lookup)
    await instance.start()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client(instance.addresses[0][1], "GET", counts, stop))
        await asyncio.sleep(PHASE)
        await pods.add("127.0.0.2")
        said.append(await _phase(pods, "one added"))
        pods.forget("127.0.0.1")
        await asyncio.sleep(PERIOD * 3)
        pods.close("127.0.0.1")
        said.append(await _phase(pods, "the first removed"))
        pods.forget("127.0.0.2")
        said.append(await _phase(pods, "all vanished"))
        await pods.add("127.0.0.3")
        said.append(await _phase(pods, "another came"))
        stop.set()
    await instance.stop()
    failed = sum(count for (_, code), count in counts.answers.items() if code != "200")
    sentence = f"{'; '.join(said)}; {counts.answers.total():,} requests, {failed} failed"
    if failed or counts.outcomes.keys() - {
        ("stable", "success"),
        ("canary", "success"),
        ("stable", "client_abort"),
        ("canary", "client_abort"),
    }:
        raise DisprovedError(f"{sentence}; {dict(counts.outcomes)}")
    return sentence


async def _phase(pods: Addresses, name: str) -> str:
    before = pods.served.copy()
    await asyncio.sleep(PHASE)
    seen = pods.served - before
    return f"{name}: " + ", ".join(f"{address} {count:,}" for address, count in sorted(seen.items()))
