"""A canary with one pod that breaks in every way: no client pays for what can be retried, and it is charged for all."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator

import uvloop

from bench.ports import free_port
from bench.prove import DisprovedError
from canaryproxy.app.instance import Instance
from canaryproxy.config import parse
from canaryproxy.model.report import Delta

CLIENTS = 20
PHASE = 4.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
RESET = struct.pack("ii", 1, 0)


class Pod:
    """An origin that answers with its name, resets what it has read, or refuses connections."""

    def __init__(self, name: bytes, port: int) -> None:
        self._name = name
        self._port = port
        self._server: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()
        self.resetting = False

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def down(self) -> None:
        """Refuse connections, cut the open ones."""
        if self._server is not None:
            self._server.close()
        for writer in list(self.writers):
            reset(writer)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"Content-Length: 4" in head:
                    await reader.readexactly(4)
                if self.resetting:
                    reset(writer)
                    break
                writer.write(OK % (len(self._name), self._name))
        self.writers.discard(writer)
        writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Counts:
    """What clients saw, and what the proxy counted, by version."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self.starts: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.rescues: Counter[str] = Counter()

    def add(self, delta: Delta) -> None:
        """Take a report of the data plane."""
        for cell in delta.cells:
            self.starts[cell.key.version] += cell.starts
            self.rescues[cell.key.version] += sum(cell.rescues.values())
            for outcome, count in cell.outcomes.items():
                self.outcomes[cell.key.version, outcome] += count


@contextlib.asynccontextmanager
async def proxied(text: str, counts: Counts) -> AsyncIterator[int]:
    """A proxy in this process; yields its port."""
    instance = Instance(parse(text, "prove", {}), report=counts.add)
    await instance.start()
    try:
        yield instance.addresses[0][1]
    finally:
        await instance.stop()


async def client(port: int, method: str, counts: Counts, stop: asyncio.Event) -> None:
    """One request after another on connections of its own."""
    body = b"Content-Length: 4\r\n\r\nbody" if method == "POST" else b"\r\n"
    while not stop.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            while not stop.is_set():
                writer.write(f"{method} / HTTP/1.1\r\nHost: prove.test\r\n".encode() + body)
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                await reader.readexactly(int(fields[b"content-length"]))
                counts.answers[method, head[9:12].decode()] += 1
                if fields.get(b"connection") == b"close":
                    break
                await asyncio.sleep(0.002)


def broken_pod() -> str:
    """Reset, refuse, return."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_broken_pod())


async def _broken_pod() -> str:
    stable, canary = Pod(b"stable", free_port()), Pod(b"canary", free_port())
    await stable.up()
    await canary.up()
    text = (
        f"server: {{listen: '127.0.0.1:0', admin: {{listen: '127.0.0.1:0'}}, state: memory, workers: 1}}\nstable: http://127.0.0.1:{stable._port}\n"  # noqa: SLF001
        f"canary: http://127.0.0.1:{canary._port}\nweight: 20\n"  # noqa: SLF001
    )
    counts, phases = Counts(), []
    async with proxied(text, counts) as port, asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        for number in range(CLIENTS):
            group.create_task(client(port, "POST" if number % 4 == 0 else "GET", counts, stop))
        for name in ("well", "resets", "refuses", "returns"):
            canary.resetting = name == "resets"
            if name == "refuses":
                await canary.down()
            elif name == "returns":
                await canary.up()
            before = counts.answers.copy()
            await asyncio.sleep(PHASE)
            phases.append((name, counts.answers - before))
        stop.set()
    await canary.down()
    await stable.down()
    return judged(counts, phases)


def judged(counts: Counts, phases: list[tuple[str, Counter[tuple[str, str]]]]) -> str:
    """The sentence, or why the claim does not hold."""
    failed = {
        name: {
            method: sum(count for (made, code), count in seen.items() if made == method and code != "200")
            for method in ("GET", "POST")
        }
        for name, seen in phases
    }
    share = counts.starts["canary"] / counts.starts.total() * 100
    outcomes = counts.outcomes.items()
    charged = sum(count for (version, outcome), count in outcomes if version == "canary" and outcome != "success")
    blamed = {outcome for (version, outcome) in counts.outcomes if version == "stable"} - {"success", "client_abort"}
    said = (
        f"{counts.starts.total():,} requests, {share:.2f} % drawn for the canary; while it resets "
        f"{failed['resets']['GET']} GET and {failed['resets']['POST']} POST fail, while it refuses "
        f"{failed['refuses']['GET']} GET and {failed['refuses']['POST']} POST; {charged:,} charged to the canary, "
        f"{counts.rescues['canary']:,} of them answered by stable, none charged to stable"
    )
    posts_in_flight = CLIENTS // 4
    if (
        any(failed[name]["GET"] for name, _ in phases)
        or failed["well"]["POST"]
        or failed["refuses"]["POST"] > posts_in_flight
        or failed["returns"]["POST"]
        or not failed["resets"]["POST"]
        or blamed
        or abs(share - 20) > 0.5
        or charged != counts.rescues["canary"] + sum(seen["POST"] for seen in failed.values())
    ):
        raise DisprovedError(f"{said}; {failed}; {dict(counts.outcomes)}")
    return said
