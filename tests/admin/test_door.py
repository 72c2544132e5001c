"""How many may be connected to the admin API at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from canaryproxy.admin.door import Door
from tests.support.admin import until
from tests.support.world import run

REQUEST = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Api:
    """A server behind a door for two."""

    def __init__(self, port: int, going: asyncio.Event, server: web.Server) -> None:
        self.port = port
        self.going = going
        self.server = server
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(client)
        return client


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    going = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await going.wait()
        return web.Response(text="slow")

    async def quick(_: web.Request) -> web.Response:
        return web.Response(text="quick")

    door = Door(2)
    app = web.Application()
    app.router.add_get("/slow", slow)
    app.router.add_get("/quick", quick)
    door.guard(app)
    running = web.AppRunner(app)
    await running.setup()
    assert running.server is not None
    server = await asyncio.get_running_loop().create_server(door.opened(running.server), "127.0.0.1", 0)
    made = Api(server.sockets[0].getsockname()[1], going, running.server)
    try:
        yield made
        assert "<Door for 2, 0 of them busy>" in repr(door)
    finally:
        for _, writer in made.clients:
            writer.close()
        server.close()
        await running.cleanup()


async def asked(client: Client, path: bytes) -> bytes:
    client[1].write(REQUEST % path)
    head = await client[0].readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head.split(b" ")[1] + b" " + await client[0].readexactly(length)


def test_silent_connections_make_room_oldest_first() -> None:
    async def test() -> None:
        async with api() as made:
            first = await made.connect()
            await until(lambda: len(made.server.connections) == 1)
            second = await made.connect()
            await until(lambda: len(made.server.connections) == 2)
            third = await made.connect()
            assert await asked(third, b"/quick") == b"200 quick"
            assert await first[0].read() == b""
            assert await asked(second, b"/quick") == b"200 quick"

    run(test())


def test_one_more_than_are_busy_is_refused_with_a_problem() -> None:
    async def test() -> None:
        async with api() as made:
            busy = [await made.connect() for _ in range(2)]
            waiting = [asyncio.get_running_loop().create_task(asked(one, b"/slow")) for one in busy]
            await until(lambda: made.server.requests_count == 2)
            refused = await made.connect()
            answer = await refused[0].read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"application/problem+json" in answer
            made.going.set()
            assert await asyncio.gather(*waiting) == [b"200 slow"] * 2
            assert await asked(await made.connect(), b"/quick") == b"200 quick"

    run(test())
