"""Attacks on the memory of a worker, with a tiny budget: it holds, those who hold the most go, others are served."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.load_shedding import (
    ABORT_BATCH,
    CHECKS,
    MIN_SHED_BYTES,
    WEIGH_BATCH,
    BufferHolder,
    LoadShedder,
    trim,
)
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.slices import Slices
from canaryproxy.dataplane.tunnel import Tunnel
from canaryproxy.model.failure import FAILURES, Outcome
from canaryproxy.model.settings import Limits, Timeouts
from tests.support.cluster import GET, STAY, Cluster, read_head, read_response, reset, run, running_cluster

MIB = 2**20
BUDGET = 2 * MIB
HEAVY = b"GET /heavy HTTP/1.1\r\nHost: shop.test\r\n\r\n"
UPLOAD = b"POST /stall HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 90000000\r\n\r\n"
PIECES = b"POST /stall HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: shop.test\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 3000) for n in range(20))
SIZE = 20_000_000


async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Heavy answers, small ones, and uploads that it does not read."""
    while True:
        head = await read_head(reader)
        if b"/stall" in head:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(3600)
        elif b"/never" in head:
            await asyncio.sleep(3600)
        elif b"/heavy" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // 50_000):
                writer.write(b"z" * 50_000)
                await writer.drain()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@asynccontextmanager
async def small(buffers: int = BUDGET, timeouts: Timeouts | None = None, **route: object) -> AsyncIterator[Cluster]:
    async with running_cluster(limits=Limits(buffers=buffers), timeouts=timeouts, **route) as w:  # type: ignore[arg-type]
        w.stable.behaviour = origin
        yield w


class Attackers:
    """Clients that never read."""

    def __init__(self, w: Cluster, request: bytes, more: bytes = b"") -> None:
        self._w = w
        self._request = request
        self._more = more
        self.sockets: list[socket.socket] = []

    async def come(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", self._w.port))
            await loop.sock_sendall(sock, self._request)
            self.sockets.append(sock)

    def push(self) -> None:
        """Send as much more as is taken."""
        for sock in self.sockets:
            try:
                sock.send(self._more)
            except OSError:
                continue

    def leave(self) -> None:
        for sock in self.sockets:
            sock.close()


def counted(plane: DataPlane) -> tuple[int, int]:
    """What all hold by themselves, and what the account says."""
    return sum(one.weight() for one in plane._holders()), plane.buffers.held


async def until(true: Callable[[], bool], patience: float = 30.0) -> None:
    async with asyncio.timeout(patience):
        while not true():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("request_", "more", "count"),
    [
        pytest.param(HEAVY, b"", 120, id="slow readers"),
        pytest.param(HALF, b"", 60, id="half heads"),
        pytest.param(UPLOAD, b"u" * 60_000, 120, id="uploads to an origin that stalls"),
        pytest.param(PIECES, b"1\r\nx\r\n" * 3000, 24, id="uploads in chunks of a byte"),
        pytest.param(b"GET /never HTTP/1.1\r\nHost: shop.test\r\n\r\n", STAY * 1000, 300, id="read ahead"),
        pytest.param(UPLOAD.replace(b"POST", b"PUT"), b"u" * 60_000, 120, id="bodies that may be sent again"),
    ],
)
def test_a_flood_is_held_within_the_budget_and_a_bystander_is_served(request_: bytes, more: bytes, count: int) -> None:
    async def test() -> None:
        async with small(connect_timeout=20.0) as w:
            attackers = Attackers(w, request_, more)
            reader, writer = await w.connect()
            most = 0
            try:
                for _ in range(6):
                    await attackers.come(count // 6)
                    for _ in range(4):
                        attackers.push()
                        writer.write(STAY)
                        assert (await read_response(reader))[1] == b"ok"
                        most = max(most, w.plane.buffers.held)
                own, account = counted(w.plane)
                assert own == account
                assert (MIB // 16 if request_ is not PIECES else 0) <= most < BUDGET * 1.5
            finally:
                attackers.leave()
            w.plane._sweep()
            w.collect()
            assert not [one for one in FAILURES if w.outcomes[one] and one is not Outcome.RESET]

    run(test())


def test_slow_readers_beyond_the_budget_are_reset_and_counted_for_no_version() -> None:
    async def test() -> None:
        async with small(MIB // 2) as w:
            attackers = Attackers(w, HEAVY)
            await attackers.come(80)
            await until(lambda: w.plane.buffers.shed > 0)
            delta = w.collect()
            assert (delta.room, delta.shed > 0) == (MIB // 2, True)
            assert w.outcomes["overflow"] >= delta.shed > 0
            assert w.codes[200] == w.outcomes["overflow"]
            cut = set[socket.socket]()

            def all_know() -> bool:
                """The reset of one that was cut leaves in the loop's next turn."""
                w.collect()
                for sock in set(attackers.sockets) - cut:
                    try:
                        while sock.recv(65_536):
                            pass
                    except BlockingIOError:
                        pass
                    except ConnectionResetError:
                        cut.add(sock)
                return len(cut) == w.outcomes["overflow"]

            await until(all_know)
            attackers.leave()
            await until(lambda: not w.connections)
            assert w.plane.buffers.held == 0

    run(test())


def test_who_had_no_answer_yet_gets_ours() -> None:
    async def test() -> None:
        async with small(MIB // 2) as w:
            attackers = Attackers(w, HALF)
            await attackers.come(20)
            await until(lambda: w.plane.buffers.shed > 0)
            heads = []
            for sock in attackers.sockets:
                try:
                    heads.append(sock.recv(4096))
                except BlockingIOError:
                    continue
            assert heads
            assert all(head.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in head for head in heads)
            attackers.leave()
            await until(lambda: not w.connections)
            assert w.plane.buffers.held == 0

    run(test())


def test_a_download_that_is_read_goes_on_beside_those_that_are_not() -> None:
    async def test() -> None:
        async with small(MIB) as w:
            attackers = Attackers(w, HEAVY)
            honest = asyncio.create_task(w.ask(HEAVY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
            for _ in range(12):
                await attackers.come(10)
            await until(lambda: w.plane.buffers.shed > 0)
            assert len(await honest) > SIZE
            attackers.leave()

    run(test())


def test_a_crowd_of_small_heads_has_no_one_else_refused() -> None:
    """Each holds less than is worth cutting, all of them together more than the budget."""

    async def test() -> None:
        async with small(MIB) as w:
            attackers = Attackers(w, HALF[:4_000])
            reader, writer = await w.connect()
            try:
                for _ in range(4):
                    await attackers.come(150)
                    await until(lambda: not w.plane.buffers.refusing and w.plane.buffers.held <= MIB, 5.0)
                    writer.write(STAY)
                    assert (await read_response(reader))[1] == b"ok"
                await until(lambda: w.plane.buffers.shed > 0)
            finally:
                attackers.leave()

    run(test())


def test_tunnels_are_reset_on_both_sides_never_ended_as_if_they_were_whole() -> None:
    async def test() -> None:
        gone: list[BaseException | None] = []

        async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            try:
                while True:
                    writer.write(b"z" * 50_000)
                    await writer.drain()
            except OSError as error:
                gone.append(error)

        async with small(MIB // 2, upgrades=("websocket",)) as w:
            w.stable.behaviour = switch
            ask = b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            attackers = Attackers(w, ask)
            await attackers.come(60)
            await until(lambda: w.plane.buffers.shed > 0)
            assert counted(w.plane)[0] == counted(w.plane)[1]
            ends = 0
            for sock in attackers.sockets:
                try:
                    while sock.recv(65_536):
                        pass
                    raise AssertionError("a tunnel was ended as if it were whole")
                except BlockingIOError:
                    pass
                except ConnectionResetError:
                    ends += 1
            assert ends
            attackers.leave()
            await until(lambda: not w.plane.tunnels)
            assert w.plane.buffers.held == 0

    run(test())


def test_tunnels_of_which_one_side_is_gone_are_cut_too() -> None:
    """Both ends have closed, and what the endpoint said last is queued for clients that do not read."""
    size = 4_000_000

    async def test() -> None:
        async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            await reader.read()
            writer.write(b"z" * size)
            writer.close()

        async def come(count: int) -> list[Tunnel]:
            before = set(w.plane.tunnels)
            await attackers.come(count)
            await until(lambda: len(w.plane.tunnels - before) == count)
            for sock in attackers.sockets[-count:]:
                sock.shutdown(socket.SHUT_WR)
            return list(w.plane.tunnels - before)

        nonlocal size
        async with small(8 * MIB, upgrades=("websocket",)) as w:
            w.stable.behaviour = switch
            ask = b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            attackers = Attackers(w, ask)
            try:
                (full,) = await come(1)
                await until(lambda: full.up.blocked)
                size = full.up.received - full.down.transport.get_write_buffer_size() + 6_000
                tunnels = await come(10)
                await until(lambda: all(one._gone == 1 for one in tunnels), 5.0)
                assert not w.plane.pools.sockets.direct or sum(one.weight() >= MIN_SHED_BYTES for one in tunnels) > 5
                w.plane.buffers.limit = MIN_SHED_BYTES
                w.plane.buffers.sweep()
                await until(lambda: w.plane.buffers.held <= MIN_SHED_BYTES, 5.0)
            finally:
                attackers.leave()

    run(test())


def test_where_nothing_more_can_be_cut_newcomers_and_new_requests_are_refused_until_there_is_room() -> None:
    async def test() -> None:
        async with small() as w:
            reader, writer = await w.connect()
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"
            w.plane.buffers.add(2 * BUDGET)
            await until(lambda: w.plane.buffers.refusing)
            writer.write(STAY)
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After" in head
            newcomer, _ = await w.connect()
            assert (await newcomer.read()).startswith(b"HTTP/1.1 503 ")
            w.plane.buffers.drop(2 * BUDGET)
            await until(lambda: not w.plane.buffers.refusing)
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert w.refused == {503: 2}

    run(test())


STEPS = ("slow", "half", "upload", "read", "push", "close", "reset", "end", "rest")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=24), st.sampled_from([MIB // 4, MIB * 8])
)
def test_the_account_is_the_sum_of_what_is_held_and_nothing_when_all_have_gone(
    steps: list[tuple[str, int]], limit: int
) -> None:
    requests = {"slow": HEAVY, "half": HALF, "upload": UPLOAD}

    async def test() -> None:
        async with small(limit, Timeouts(half_close=0.1, body_idle=0.5)) as w:
            clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
            for step, number in steps:
                if step in requests:
                    reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1000)
                    w.clients.append(writer)
                    clients.append((reader, writer))
                    writer.write(requests[step])
                elif clients:
                    reader, writer = clients[number % len(clients)]
                    try:
                        if step == "read":
                            async with asyncio.timeout(0.02):
                                await reader.read(100_000)
                        elif step == "push":
                            writer.write(b"p" * 10_000)
                        elif step == "close":
                            writer.close()
                        elif step == "reset" and not writer.is_closing():
                            reset(writer)
                        elif step == "end" and writer.can_write_eof():
                            writer.write_eof()
                    except (OSError, RuntimeError):
                        pass
                await asyncio.sleep(0.005)
                own, account = counted(w.plane)
                assert own == account
                assert account >= 0
            for _, writer in clients:
                writer.transport.abort()
            await until(lambda: not w.connections)
            await until(lambda: w.plane.buffers.held == 0)

    run(test())


# Who is cut, without sockets.


class Fake:
    def __init__(self, buffers: Buffers, size: int) -> None:
        self.buffers = buffers
        self.size = size
        self.moved = 0
        self.cut = False
        buffers.add(size)

    def weight(self) -> int:
        return self.size

    def progress(self) -> tuple[object, int]:
        return self, self.moved

    def shed(self) -> None:
        self.cut = True
        self.buffers.drop(self.size)
        self.size = 0


def fakes(
    *sizes: int,
    limit: int = 100_000,
    memory: Callable[[], float] | None = None,
    later: Callable[[Callable[[], None]], object] = lambda call: call(),
) -> tuple[LoadShedder, list[Fake]]:
    buffers = Buffers(limit)
    made: list[Fake] = []
    slices = Slices(lambda call: call(), lambda: None)
    shedding = LoadShedder(buffers, lambda: made, slices, lambda _: None, memory)
    shedding.trim = lambda: None
    made += [Fake(Buffers(), size) for size in sizes]
    for one in made:
        one.buffers = buffers
        buffers.held += one.size
    return shedding, made


def ranked(shedding: LoadShedder) -> list[BufferHolder]:
    burdens: list[tuple[int, BufferHolder]] = []
    assert not list(shedding._weigh(burdens))
    return [holder for _, holder in burdens]


def test_the_greatest_burden_goes_first_and_no_more_than_needed() -> None:
    shedding, made = fakes(30_000, 50_000, 10_000, 40_000)
    shedding.relieve()
    assert [one.cut for one in made] == [False, True, False, False]


def test_a_flood_is_cut_a_few_in_a_turn_so_that_others_are_served_between() -> None:
    shedding, made = fakes(*[5_000] * 3_000, limit=10_000_000)
    turns: list[Callable[[], None]] = []
    attended: list[int] = []
    shedding._slices = Slices(turns.append, lambda: attended.append(sum(one.cut for one in made)))
    cut: list[int] = []
    shedding.relieve()
    while turns:
        cut.append(sum(one.cut for one in made))
        turns.pop()()
    assert max(after - before for before, after in itertools.pairwise(cut)) <= ABORT_BATCH
    assert sum(not one for one in cut) >= 3_000 // WEIGH_BATCH
    assert len(set(attended)) >= sum(one.cut for one in made) * (ABORT_BATCH - 1) // ABORT_BATCH - 1
    assert shedding._buffers.held <= 8_500_000
    assert shedding._buffers.shed == sum(one.cut for one in made)


def test_what_is_gone_when_its_turn_comes_is_not_cut() -> None:
    shedding, made = fakes(30_000, 50_000, 40_000, limit=60_000)
    weigh = shedding._weigh

    def gone(burdens: list[tuple[int, BufferHolder]], least: int) -> Iterator[None]:
        yield from weigh(burdens, least)
        made[1].buffers.drop(made[1].size)
        made[1].size = 0

    shedding._weigh = gone  # type: ignore[method-assign, assignment]
    shedding.relieve()
    assert [one.cut for one in made] == [False, False, True]


def test_what_moves_is_a_smaller_burden() -> None:
    shedding, made = fakes(60_000, 50_000, limit=115_000)
    made[0].buffers.add(1)
    for _ in range(CHECKS):
        shedding.sweep()
    made[0].moved = 40_000
    assert ranked(shedding) == [made[1], made[0]]
    for _ in range(CHECKS):
        shedding.sweep()
    assert ranked(shedding) == made


def test_small_holders_are_cut_only_where_all_others_were_not_enough() -> None:
    shedding, made = fakes(*[4_000] * 20, 90_000)
    shedding.relieve()
    assert [one.cut for one in made] == [False] * 20 + [True]
    shedding, made = fakes(*[4_000] * 50, 5_000, *[100] * 200)
    shedding.relieve()
    assert made[50].cut
    assert sum(one.cut for one in made[:50]) == 34
    assert not any(one.cut for one in made[51:])
    assert not made[0].buffers.refusing
    shedding, made = fakes(*[4_000] * 20, memory=lambda: 0.97)
    for _ in range(CHECKS):
        shedding.sweep()
    assert not any(one.cut for one in made)


def test_short_memory_has_the_greatest_cut_then_idle_clients_closed_and_free_memory_given_back() -> None:
    share = 0.97
    shedding, made = fakes(20_000, 10_000, memory=lambda: share)
    spared: list[int] = []
    trimmed: list[int] = []
    shedding.spare = lambda: not spared and not spared.append(1)  # type: ignore[func-returns-value]
    shedding.trim = lambda: trimmed.append(1)
    for _ in range(CHECKS):
        shedding.sweep()
    assert made[0].cut
    assert trimmed
    for one in made:
        one.shed()
    shedding.sweep()
    assert spared
    share = 0.1
    for _ in range(CHECKS):
        shedding.sweep()
    assert not made[0].buffers.tight


def test_one_that_cannot_be_weighed_keeps_no_other_from_being_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, made = fakes(60_000, 50_000, 40_000)

    def gone() -> int:
        raise ValueError("gone already")

    monkeypatch.setattr(made[0], "weight", gone)
    made[0].buffers.add(1)
    assert [one.cut for one in made] == [False, True, True]
    assert "could not be counted" in caplog.text
    assert not made[0].buffers.cutting


def test_one_that_cannot_be_cut_keeps_neither_others_from_it_nor_the_next_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shedding, made = fakes(60_000, 50_000, 40_000)

    def broken(*_: object) -> None:
        raise RuntimeError("gone already")

    monkeypatch.setattr(made[0], "shed", broken)
    made[0].buffers.add(1)
    assert [one.cut for one in made] == [False, True, True]
    assert "could not be cut" in caplog.text
    monkeypatch.setattr(shedding, "_weigh", broken)
    with pytest.raises(RuntimeError):
        made[0].buffers.add(60_000)
    monkeypatch.undo()
    made[0].buffers.sweep()
    assert made[0].cut


def test_no_one_is_idle_where_no_one_says_so_and_trimming_does_no_harm() -> None:
    assert not fakes()[0].spare()
    trim()
