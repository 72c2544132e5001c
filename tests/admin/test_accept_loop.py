"""Attacks on a listener of the control plane, on real sockets, with small limits."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from canaryproxy.admin import accept_loop as door_module
from canaryproxy.admin import newcomers, receive_window
from canaryproxy.admin.accept_loop import AcceptLoop, ConnectionQuota
from canaryproxy.admin.connection_slots import STRETCH_SECONDS, STRETCHES
from canaryproxy.admin.control_connection import ControlConnection
from canaryproxy.admin.newcomers import Newcomer, Refusable
from canaryproxy.processes.listen import listen_on
from tests.support.admin import until
from tests.support.cluster import run

REQUEST = b"%b %b HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 16 * 2**20
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Api:
    """A server behind a door. `now` is its clock, ahead of the real one as a test says, or frozen."""

    def __init__(self, room: ConnectionQuota) -> None:
        self.going = asyncio.Event()
        self.ahead = 0.0
        self.frozen = 0.0
        self.under_way = 0
        self.noted: list[tuple[str, str]] = []
        self.clients: list[Client] = []
        self.sock = listen_on("127.0.0.1", 0)
        self.port = self.sock.getsockname()[1]
        self.door = AcceptLoop("probes", self.sock, room, self.now, self._note)

    def _note(self, name: str, reason: str, count: int) -> None:
        self.noted += [(name, reason)] * count

    def now(self) -> float:
        return self.frozen or asyncio.get_running_loop().time() + self.ahead

    async def connect(self, source: str = "127.0.0.1") -> Client:
        """Connected and let in."""
        before = self.seen
        client = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0), limit=2**16)
        self.clients.append(client)
        await until(lambda: self.seen > before)
        return client

    @property
    def seen(self) -> int:
        """Connections that were let in or refused."""
        return self.door.connections + sum(self.door.dropped.values())

    async def slow(self, _: web.Request) -> web.Response:
        """Answered when the test says so."""
        self.under_way += 1
        await self.going.wait()
        return web.Response(text="slow")

    async def quick(self, request: web.Request) -> web.Response:
        """Answered at once, whatever comes with it."""
        return web.Response(text="quick", status=200 if request.method == "GET" else 401)

    async def large(self, request: web.Request) -> web.StreamResponse:
        """More than the buffers hold."""
        self.under_way += 1
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * LARGE)
        return response


@asynccontextmanager
async def api(room: ConnectionQuota, patience: float = 30.0) -> AsyncIterator[Api]:
    made = Api(room)
    app = web.Application()
    app.router.add_get("/slow", made.slow)
    app.router.add_route("*", "/quick", made.quick)
    app.router.add_get("/large", made.large)
    running = web.AppRunner(app, shutdown_timeout=0.1, lingering_time=patience)
    await running.setup()
    assert running.server is not None
    made.door.open(running.server)
    try:
        yield made
    finally:
        for _, writer in made.clients:
            writer.close()
        made.door.close()
        await running.cleanup()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "SWEEP_SECONDS", 0.01)


async def asked(client: Client, path: bytes, method: bytes = b"GET") -> bytes:
    client[1].write(REQUEST % (method, path))
    head = await client[0].readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head.split(b" ")[1] + b" " + await client[0].readexactly(length)


async def ended(client: Client) -> bool:
    """Whether the other side has ended it; waits for that."""
    try:
        while await client[0].read(2**20):
            continue
    except ConnectionError:
        return True
    return True


SMALL = ConnectionQuota(8, 6, 4, 3)


def test_silent_connections_make_room_oldest_first() -> None:
    async def test() -> None:
        async with api(ConnectionQuota(2, 1, 2, 1)) as made:
            first = await made.connect()
            second = await made.connect()
            third = await made.connect()
            assert await asked(third, b"/quick") == b"200 quick"
            assert await ended(first)
            assert await asked(second, b"/quick") == b"200 quick"
            assert made.noted == [("probes", "evicted")]

    run(test())


def test_a_request_right_behind_its_connect_is_answered_while_its_own_address_floods() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            flood = [socket.socket() for _ in range(300)]
            for sock in flood[:150]:
                sock.connect(("127.0.0.1", made.port))
            client = await asyncio.open_connection("127.0.0.1", made.port)
            client[1].write(REQUEST % (b"GET", b"/quick"))
            for sock in flood[150:]:
                sock.connect(("127.0.0.1", made.port))
            assert b" 200 " in await client[0].readline()
            await until(lambda: made.door.dropped["evicted"] + made.door.dropped["silent"] >= 290)
            assert made.door.connections <= 4
            client[1].close()
            for sock in flood:
                sock.close()

    run(test())


def test_an_idle_connection_of_another_address_outlives_a_flood() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            operator = await made.connect("127.0.0.2")
            for number in range(40):
                await made.connect(f"127.0.0.{3 + number % 2}")
            assert await asked(operator, b"/quick") == b"200 quick"

    run(test())


@pytest.mark.parametrize("sent", [b"", b"GET /quick HTTP/1.1\r\nHost: a\r\n", b"\r\n" * 40, b"\r\n\r\nGET"])
def test_a_head_that_does_not_end_is_cut_whatever_there_is_of_it(sent: bytes) -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(sent)
            await client[1].drain()
            await asyncio.sleep(0.02)
            assert made.door.connections == 1
            made.ahead = door_module.HEAD_TIMEOUT_SECONDS + 0.1
            assert await ended(client)
            assert made.door.dropped["header_timeout"] == 1
            assert made.door.connections == 0

    run(test())


def test_an_error_in_a_sweep_does_not_end_the_sweeping() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            await made.connect()
            sweeping, failed = made.door._slots.stalled_since, 0

            def broken(moment: float) -> list[ControlConnection]:
                nonlocal failed
                failed += 1
                if failed < 3:
                    raise ValueError("entrails")
                return sweeping(moment)

            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            made.door._slots.stalled_since = broken  # type: ignore[method-assign]
            await until(lambda: failed >= 3)
            made.ahead = door_module.HEAD_TIMEOUT_SECONDS
            await until(lambda: made.door.connections == 0)

    run(test())


def test_bytes_that_trickle_win_no_time() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            for byte in b"GET /quick HTTP/1.1\r\nX-Long: abcde":
                client[1].write(bytes([byte]))
                await asyncio.sleep(0.002)
                made.ahead += 0.2
            made.ahead = door_module.HEAD_TIMEOUT_SECONDS + 0.1
            assert await ended(client)
            assert made.door.dropped["header_timeout"] == 1

    run(test())


def test_the_time_for_a_head_holds_after_an_answer_too() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            made.ahead = door_module.HEAD_TIMEOUT_SECONDS - 1.0
            assert await asked(client, b"/quick") == b"200 quick"
            client[1].write(b"GET /quick HT")
            made.ahead += door_module.HEAD_TIMEOUT_SECONDS - 1.0
            await asyncio.sleep(0.05)
            assert made.door.connections == 1
            made.ahead += 1.1
            assert await ended(client)
            assert made.door.dropped["header_timeout"] == 0, "an idle connection that ends is nothing to report"

    run(test())


def test_a_request_under_way_has_no_time_limit_of_the_door() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            answer = asyncio.get_running_loop().create_task(asked(client, b"/slow"))
            await until(lambda: made.under_way == 1)
            made.ahead = 1000.0
            await asyncio.sleep(0.05)
            made.going.set()
            assert await answer == b"200 slow"

    run(test())


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /quick HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", b"417"),
        (b"GET /quick HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nmore", b"200"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nmore", b"404"),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"401"),
        (b"POST /quick HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"401"),
    ],
)
def test_a_refused_request_keeps_no_place_whether_or_not_its_body_comes(head: bytes, status: bytes) -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(head)
            assert (await client[0].readline()).split(b" ")[1] == status
            made.ahead = door_module.HEAD_TIMEOUT_SECONDS + 0.1
            assert await ended(client)
            assert made.door.connections == 0

    run(test())


def test_a_malformed_request_is_answered_and_ended() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(b"NONSENSE\r\n\r\n")
            assert b" 400 " in await client[0].readline()
            assert await ended(client)
            await until(lambda: made.door.connections == 0)

    run(test())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.0\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n",
    ],
)
def test_what_is_no_request_is_refused_at_once(sent: bytes) -> None:
    """Such as `https://` for a port without TLS: who asks like that hears of it before the time for a head is over."""

    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(sent)
            assert b" 400 " in await client[0].readline()
            assert await ended(client)
            await until(lambda: made.door.connections == 0)
            assert made.door.dropped["header_timeout"] == 0

    run(test())


def test_a_head_that_is_too_large_is_refused_before_there_is_a_parser() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(b"GET /quick HTTP/1.1\r\nX: " + b"a" * (door_module.HEAD_BYTES - 24))
            assert b" 431 " in await client[0].readline()
            assert made.noted == [("probes", "header_too_large")]

    run(test())


def test_requests_under_way_leave_places_and_one_more_is_refused_with_a_problem() -> None:
    async def test() -> None:
        async with api(ConnectionQuota(4, 2, 4, 2)) as made:
            busy = [await made.connect() for _ in range(2)]
            waiting = [asyncio.get_running_loop().create_task(asked(one, b"/slow")) for one in busy]
            await until(lambda: made.under_way == 2)
            refused = await made.connect()
            refused[1].write(REQUEST % (b"GET", b"/quick"))
            answer = await refused[0].read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"application/problem+json" in answer
            assert b"Server: canaryproxy\r\n" in answer
            made.going.set()
            assert await asyncio.gather(*waiting) == [b"200 slow"] * 2
            assert await asked(await made.connect(), b"/quick") == b"200 quick"
            assert made.noted == [("probes", "busy")]

    run(test())


def test_a_kept_alive_connection_is_refused_alike() -> None:
    async def test() -> None:
        async with api(ConnectionQuota(4, 1, 4, 1)) as made:
            kept = await made.connect()
            assert await asked(kept, b"/quick") == b"200 quick"
            busy = asyncio.get_running_loop().create_task(asked(await made.connect(), b"/slow"))
            await until(lambda: made.under_way == 1)
            assert (await asked(kept, b"/quick")).startswith(b"503 {")
            assert await ended(kept)
            made.going.set()
            assert await busy == b"200 slow"

    run(test())


def test_a_client_that_does_not_take_its_answer_is_cut_though_it_takes_a_byte_now_and_then() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", made.port))
            sock.sendall(REQUEST % (b"GET", b"/large"))
            await until(lambda: made.under_way == 1)
            for _ in range(4):
                await asyncio.sleep(0.03)
                sock.recv(1)
                made.ahead += door_module.WRITE_TIMEOUT_SECONDS * 0.3
            await until(lambda: made.door.connections == 0)
            assert made.door.dropped["write_timeout"] == 1
            sock.close()

    run(test())


def test_a_client_that_takes_its_answer_slowly_gets_it_whole() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(REQUEST % (b"GET", b"/large"))
            got = 0
            while got < LARGE:
                more = await client[0].read(2**20)
                assert more
                got += len(more)
                made.ahead += 0.1
            assert made.door.dropped["write_timeout"] == 0

    run(test())


def test_one_that_takes_nothing_gives_way_to_a_request_where_all_are_busy() -> None:
    async def test() -> None:
        async with api(ConnectionQuota(4, 1, 4, 1)) as made:
            deaf = await made.connect()
            deaf[1].write(REQUEST % (b"GET", b"/large"))
            await until(lambda: made.under_way == 1)
            await asyncio.sleep(0.05)
            assert await asked(await made.connect(), b"/quick") == b"200 quick"
            assert await ended(deaf)
            assert made.noted == [("probes", "write_timeout")]

    run(test())


def test_half_closed_and_reset_connections_leave_nothing() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            half = await made.connect()
            half[1].write(b"GET /quick")
            half[1].write_eof()
            assert await ended(half)
            for _ in range(20):
                sock = socket.create_connection(("127.0.0.1", made.port))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.sendall(b"GET /quick HTTP/1.1\r\n")
                sock.close()
            await until(lambda: made.door.connections == 0)

    run(test())


def test_pipelined_requests_are_answered_in_turn() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            client = await made.connect()
            client[1].write(REQUEST % (b"GET", b"/quick") + REQUEST % (b"HEAD", b"/quick") + b"GET /qui")
            client[1].write(b"ck HTTP/1.1\r\nHost: a\r\n\r\n")
            for status in (b"200", b"401", b"200"):
                head = await client[0].readuntil(b"\r\n\r\n")
                assert head.split(b" ")[1] == status
                if status == b"200":
                    assert await client[0].readexactly(5) == b"quick"

    run(test())


def test_without_a_descriptor_the_longest_idle_gives_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            silent = await made.connect()
            take = newcomers.take
            failures = [OSError(errno.EMFILE, "too many open files")]

            def fail(sock: socket.socket, most: int, refusable: Refusable) -> tuple[list[Newcomer], int]:
                if failures:
                    raise failures.pop()
                return take(sock, most, refusable)

            monkeypatch.setattr(door_module, "OUT_OF_FILES_PAUSE_SECONDS", 0.01)
            monkeypatch.setattr(door_module, "take", fail)
            client = await asyncio.open_connection("127.0.0.1", made.port)
            assert await asked(client, b"/quick") == b"200 quick"
            assert await ended(silent)
            assert made.noted == [("probes", "no_descriptors")]
            client[1].close()

    run(test())


def test_closed_the_door_lets_what_is_under_way_end_and_nothing_else() -> None:
    async def test() -> None:
        async with api(SMALL) as made:
            busy, silent = await made.connect(), await made.connect()
            answer = asyncio.get_running_loop().create_task(asked(busy, b"/slow"))
            await until(lambda: made.under_way == 1)
            made.door.close()
            made.door.close()
            assert await ended(silent)
            with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the kernel has it
                await asyncio.open_connection("127.0.0.1", made.port)
            made.going.set()
            assert await answer == b"200 slow"

    run(test())


def test_the_room_is_shared_out_so_that_something_is_left_of_everything() -> None:
    for most in (4, 32, 1024):
        room = ConnectionQuota.of(most)
        assert 0 < room.busy_share <= room.busy < room.most
        assert 0 < room.share < room.most
    assert ConnectionQuota.unshared(16) == ConnectionQuota(16, 12, 16, 16)


def test_a_flood_of_whole_requests_makes_no_one_wait_in_vain() -> None:
    async def test() -> None:
        async with api(ConnectionQuota.of(64)) as made:

            async def once(source: str) -> bytes:
                client = await asyncio.open_connection("127.0.0.1", made.port, local_addr=(source, 0))
                client[1].write(b"GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = await client[0].read()
                client[1].close()
                return answer[9:12]

            found = await asyncio.gather(*(once(f"127.0.0.{number % 20 + 1}") for number in range(400)))
            assert found.count(b"200") + found.count(b"503") == 400
            assert found.count(b"200") > 200

    run(test())


def test_a_site_of_ipv6_is_one_address_however_many_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [f"2001:db8:0:1::{number:x}" for number in range(1, 7)]
    take = newcomers.take

    def take_from(sock: socket.socket, most: int, refusable: Refusable) -> tuple[list[Newcomer], int]:
        found, refused = take(sock, most, refusable)
        return [(connection, names.pop(0)) for connection, _ in found], refused

    monkeypatch.setattr(door_module, "take", take_from)
    names = ["2001:db8:0:2::1", *peers, "::ffff:192.0.2.1"]

    async def test() -> None:
        async with api(SMALL) as made:
            first = await made.connect()
            for _ in peers:
                await made.connect()
            assert made.door.connections == 1 + SMALL.share
            await made.connect()
            assert await asked(first, b"/quick") == b"200 quick"
            assert made.noted == [("probes", "evicted")] * 2

    run(test())


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client has to wait until it counts as silent."""
    monkeypatch.setattr(receive_window, "WAITED", 0.0)


async def flood(made: Api, source: str = "127.0.0.1") -> None:
    """Have so many places change hands in one moment of its clock, and be at the next."""
    room = made.door._slots._most
    enough = -(-room // STRETCHES)
    for _ in range(room + enough):
        await made.connect(source)
    assert made.door.dropped["evicted"] >= enough
    made.frozen += 1.1 * STRETCH_SECONDS


async def knock(made: Api) -> None:
    """A connection that may be reset before the client knows that it stands."""
    before = made.seen
    with contextlib.suppress(ConnectionError):
        made.clients.append(await asyncio.open_connection("127.0.0.1", made.port))
    await until(lambda: made.seen > before)


def test_no_more_newcomers_are_taken_in_a_turn_than_a_quarter_of_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def take(_: socket.socket, most: int, __: Refusable) -> tuple[list[Newcomer], int]:
        asked.append(most)
        return [], most

    async def test() -> None:
        async with api(ConnectionQuota.unshared(48)) as made:
            monkeypatch.setattr(door_module, "take", take)
            made.door._accept()
            assert asked == [8, 4]
            monkeypatch.undo()

    run(test())


def test_in_a_flood_a_newcomer_that_has_not_had_the_time_to_send_something_is_let_in() -> None:
    async def test() -> None:
        async with api(ConnectionQuota.unshared(8)) as made:
            made.frozen = made.now()
            await flood(made)
            client = await made.connect()
            assert (await asked(client, b"/quick")).startswith(b"200")
            assert not made.door.dropped["silent"]

    run(test())


@pytest.mark.usefixtures("_at_once")
def test_in_a_flood_a_silent_newcomer_of_its_address_is_refused_and_one_with_a_request_is_answered() -> None:
    async def test() -> None:
        async with api(ConnectionQuota.unshared(8)) as made:
            made.frozen = made.now()
            await flood(made)
            await knock(made)
            assert made.door.dropped["silent"] == 1
            with socket.create_connection(("127.0.0.1", made.port)) as early:
                early.sendall(REQUEST % (b"GET", b"/quick"))
                early.setblocking(False)
                assert b" 200 " in await asyncio.get_running_loop().sock_recv(early, 4096)

    run(test())


@pytest.mark.usefixtures("_at_once")
def test_in_a_flood_a_silent_newcomer_of_another_address_is_let_in() -> None:
    async def test() -> None:
        async with api(ConnectionQuota(8, 4, 8, 4)) as made:
            made.frozen = made.now()
            await flood(made)
            operator = await made.connect("127.0.0.9")
            made.frozen += STRETCH_SECONDS / 2
            for _ in range(8):
                await knock(made)
            assert (await asked(operator, b"/quick")).startswith(b"200")

    run(test())


@pytest.mark.usefixtures("_at_once")
def test_after_a_flood_silent_newcomers_are_let_in_again() -> None:
    async def test() -> None:
        async with api(ConnectionQuota.unshared(8)) as made:
            made.frozen = made.now()
            await flood(made)
            made.frozen += 2.2 * STRETCH_SECONDS
            late = await made.connect()
            assert (await asked(late, b"/quick")).startswith(b"200")
            assert not made.door.dropped["silent"]

    run(test())
