"""Ten thousand browsers with cookies: their share stays what was asked for, and a weight moves only whom it must."""

import asyncio
import contextlib

import uvloop

from bench.ports import free_port
from bench.prove import DisprovedError
from bench.prove.canary import Pod
from canaryproxy.app.instance import Instance
from canaryproxy.config import Config, parse

BROWSERS = 10_000
VISITS = 20
AT_ONCE = 40
TOLERANCE = 0.7
"""Points; three standard deviations of the share of 10,000 random ids at 5 %."""


class Browser:
    """A cookie jar and what it was shown."""

    def __init__(self) -> None:
        self.jar = b""
        self.cookies = 0
        self.version = b""

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask once, keep what is given."""
        cookie = b"Cookie: " + self.jar + b"\r\n" if self.jar else b""
        writer.write(b"GET / HTTP/1.1\r\nHost: prove.test\r\n" + cookie + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        fields = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2]]
        for name, value in fields:
            if name == b"Set-Cookie":
                self.jar = value.partition(b";")[0]
                self.cookies += 1
        self.version = await reader.readexactly(int(dict(fields)[b"Content-Length"]))


async def all_visit(port: int, browsers: list[Browser]) -> set[int]:
    """Everyone visits once; who got the canary."""

    async def some(mine: list[Browser]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            for browser in mine:
                await browser.visit(reader, writer)

    await asyncio.gather(*(some(browsers[start::AT_ONCE]) for start in range(AT_ONCE)))
    return {number for number, browser in enumerate(browsers) if browser.version == b"canary"}


def sticky() -> str:
    """20 visits of everyone at 5 %, then 20 %, then 5 % again."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_sticky())


async def _sticky() -> str:
    ports = [free_port(), free_port()]
    pods = [Pod(name, port) for name, port in zip((b"stable", b"canary"), ports, strict=True)]
    for pod in pods:
        await pod.up()
    weight = 5

    def load() -> Config:
        text = (
            f"server: {{listen: '127.0.0.1:0', admin: {{listen: '127.0.0.1:0'}}, state: memory}}\nstable: http://127.0.0.1:{ports[0]}\n"
            f"canary: http://127.0.0.1:{ports[1]}\naffinity: cookie\nweight: {weight}\n"
        )
        return parse(text, "prove", {})

    instance = Instance(load(), load=load)
    await instance.start()
    port, browsers = instance.addresses[0][1], [Browser() for _ in range(BROWSERS)]
    seen = [await all_visit(port, browsers) for _ in range(VISITS)]
    weight = 20
    await instance.reload()
    raised = await all_visit(port, browsers)
    weight = 5
    await instance.reload()
    lowered = await all_visit(port, browsers)
    await instance.stop()
    for pod in pods:
        await pod.down()
    share, cookies = len(seen[0]) / BROWSERS * 100, sum(browser.cookies for browser in browsers)
    said = (
        f"{BROWSERS:,} browsers x {VISITS} visits: {share:.2f} % of them on the canary at each visit, the same ones, "
        f"one cookie each; at 20 % {len(raised) / BROWSERS * 100:.2f} %, {len(seen[0] - raised)} moved back; "
        f"at 5 % again the {len(lowered):,} of before"
    )
    steady = all(one == seen[0] for one in seen) and lowered == seen[0] and seen[0] <= raised
    if not steady or abs(share - 5) > TOLERANCE or cookies != BROWSERS:
        raise DisprovedError(f"{said}; {cookies:,} cookies; {sorted(map(len, seen))}")
    return said
