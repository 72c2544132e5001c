"""A whole instance, one of whose workers is a stranger's: whatever it says, the instance goes on and replaces it."""

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from canaryproxy.app import instance as module
from canaryproxy.app.instance import Instance
from canaryproxy.config import parse
from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.codec import DOWN, HEADER, Decoder, encode
from canaryproxy.ipc.messages import VERSION, Acknowledged, Drain, Drained, Publication, WorkerConfig
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, UsersDelta
from canaryproxy.processes import workers
from canaryproxy.processes.spawn import Spawned
from tests.support.admin import until
from tests.support.cluster import run

CONFIG = """
server: {listen: '127.0.0.1:0', admin: off, state: memory, workers: 2}
routes:
  shop:
    stable: http://127.0.0.1:1
    canary: http://127.0.0.1:9
    weight: 5
    affinity: cookie
    goals: [{name: buy, path: /buy}]
"""
KEY = CounterKey("shop", "canary", "127.0.0.1:9", "weight", True)


class Launcher:
    """Launches workers of which this test holds the other end: that of the last one of each in `ends`."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []
        self.sockets: list[socket.socket] = []

    def start(self, cannot_spawn: Callable[[str], None]) -> None:
        """Nothing to do."""

    def spawn(self, _: Spawned) -> socket.socket:
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        theirs.setblocking(False)
        theirs.send(encode(own_build()) + encode(Acknowledged(1)))
        self.ends.append(theirs)
        return mine

    def retire(self) -> None:
        """Nothing to do."""

    def abort(self) -> None:
        for end in self.ends + self.sockets:
            end.close()


@contextlib.asynccontextmanager
async def instance(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Instance, Launcher]]:
    launcher = Launcher()

    def launching(sockets: list[socket.socket], _: int) -> Launcher:
        launcher.sockets = sockets
        return launcher

    monkeypatch.setattr(module, "Processes", launching)
    made = Instance(parse(CONFIG, "f", {}))
    await made.start()
    try:
        yield made, launcher
    finally:
        await made.abort()
        await asyncio.sleep(0.02)


def report(**change: object) -> bytes:
    return encode(replace(Delta(1, time.monotonic()), **change))  # type: ignore[arg-type]


def cell(**change: object) -> bytes:
    now = time.monotonic()
    return encode(Delta(1, now, (replace(CounterDelta(KEY, int(now), 1), **change),)))  # type: ignore[arg-type]


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "level": (
        lambda: report(users=(UsersDelta("shop", "canary", 500, 2**62),)),
        "level is 4611686018427387904, allowed: 0 to 64",
    ),
    "bucket": (lambda: cell(latency={2**40: 1}), "a key of latency is 1099511627776, allowed: buckets"),
    "negative": (lambda: cell(starts=-(10**9)), "starts is -1000000000, allowed: no negative number"),
    "names": (lambda: HEADER.pack(19_000_000, VERSION, 4), "Delta of 19000000 bytes, at most 4194304 are allowed"),
    "names one by one": (lambda: cell(key=KEY._replace(reason="rule:\x1b[2J" + "x" * 10**6)), r"is 'rule:\x1b[2Jxxx"),
    "values": (
        lambda: report(goals=(GoalDelta("shop", "canary", "buy", True, 2**40, 1.0, {0: 2**40}),)),
        "the sum of all counts is",
    ),
    "nan": (lambda: report(at=math.nan), "at is nan"),
    "future": (lambda: report(at=time.monotonic() + 3600), "at is "),
    "bomb": (lambda: framed(b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"), "maximum recursion depth exceeded"),
    "generation": (lambda: encode(Acknowledged(2**40)), "the generation acknowledged is 1099511627776"),
    "end": (lambda: encode(Drained(0)), "an end of draining is 0"),
    "order": (lambda: encode(Drain()), "Drain does not come this way"),
    "table": (lambda: encode(Publication(2, ("shop",))), "Publication does not come this way"),
    "introduction": (lambda: encode(replace(own_build(), version="9.9")), "an introduction is 'a second one'"),
    "long introduction": (lambda: HEADER.pack(19_000_000, 0, 255), "Introduction of 19000000 bytes"),
    "http": (lambda: b"GET / HTTP/1.1\r\n\r\n", "a frame of version 47, kind 32"),
    "flood": (lambda: report() * 5_000, "messages is 'more than 1,000 at once'"),
}


def framed(payload: bytes) -> bytes:
    return HEADER.pack(len(payload), VERSION, 4) + payload


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_worker_that_is_not_ours_any_more_is_replaced(
    attack: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says why, the others serve on, what it said before holds, and what it said then does not."""
    caplog.set_level(logging.WARNING)
    made_of, words = ATTACKS[attack]

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(launcher.ends[0], cell(codes={200: 7}))
            await until(lambda: made.plane.counters.sums("shop", "canary").requests == 7)
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                await loop.sock_sendall(launcher.ends[0], made_of())
            await until(lambda: made.workers.restarts == 1 and made.workers.ready == 2)
            assert len(launcher.ends) == 3
            await loop.sock_sendall(launcher.ends[2], cell(codes={200: 5}))
            await until(lambda: made.plane.counters.sums("shop", "canary").requests == 12)
            assert made.workers.refused.total() == 1
            assert made.plane.counters.sums("shop", "canary").decisions == {"weight": 2}

    run(test())
    (line,) = [one.getMessage() for one in caplog.records if "is rejected" in one.getMessage()]
    assert line.startswith("worker 1 (pid None) is killed and replaced, its message is rejected: ")
    assert words in line
    assert line.isprintable()
    assert len(line) < 500


def test_one_that_begins_a_frame_and_never_ends_it_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Byte by byte, so that it never stands still."""
    monkeypatch.setattr(workers, "SILENT_TICKS", 4)

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop = asyncio.get_running_loop()
            for number in range(500):
                for end in launcher.ends[:2]:
                    with contextlib.suppress(ConnectionError, BrokenPipeError):
                        await loop.sock_sendall(end, (HEADER.pack(2**20, VERSION, 4) + bytes(500))[number : number + 1])
                await asyncio.sleep(0.02)
                if made.workers.restarts:
                    break
            assert made.workers.restarts

    run(test())
    assert "is silent; it is killed" in caplog.text


def test_one_that_speaks_of_another_time_for_ever_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is judged waits for the slowest worker: one whose clock stands still would hold all of it back."""
    monkeypatch.setattr(workers, "LATE_TICKS", 4)
    monkeypatch.setattr(workers, "TICK_SECONDS", 0.02)

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop, at = asyncio.get_running_loop(), time.monotonic()
            for _ in range(500):
                with contextlib.suppress(ConnectionError, BrokenPipeError):
                    await loop.sock_sendall(launcher.ends[0], report(at=at))
                await asyncio.sleep(0.01)
                if made.workers.restarts:
                    break
            assert made.workers.refused == {"garbled": 0, "bounds": 1, "failed": 0}

    run(test())
    assert "is rejected: at is" in caplog.text


def test_one_that_acknowledges_blindly_and_reads_nothing_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Generations can be guessed. Unread messages gather in the supervisor."""
    monkeypatch.setattr(workers, "SILENT_TICKS", 4)

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop, table = asyncio.get_running_loop(), made.plane.tables.table
            name = "x" * 100_000
            for number in range(2, 2_000):
                made.workers.publish(replace(table, generation=number, routes=(replace(table.routes[0], name=name),)))
                for end in launcher.ends[:2]:
                    with contextlib.suppress(ConnectionError, BrokenPipeError):
                        await loop.sock_sendall(end, encode(Acknowledged(number)) + report(generation=number))
                await asyncio.sleep(0.02)
                if made.workers.restarts:
                    break
            assert made.workers.restarts

    run(test())
    assert "does not read its messages; it is killed" in caplog.text


def test_a_report_that_cannot_be_filed_costs_its_worker_and_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bound that is missing."""

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(made.plane.window, "add", lambda _: 1 / 0)
            await loop.sock_sendall(launcher.ends[0], cell())
            await until(lambda: made.workers.restarts == 1 and made.workers.ready == 2)
            assert made.workers.refused == {"garbled": 0, "bounds": 0, "failed": 1}

    run(test())
    assert "ZeroDivisionError while it was processed" in caplog.text


def test_names_that_were_replaced_are_still_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange keeps the decision that it began with, and may last longer than any number of tables."""

    async def test() -> None:
        async with instance(monkeypatch) as (made, launcher):
            loop, shop = asyncio.get_running_loop(), made.plane.tables.table.routes[0]
            table = replace(made.plane.tables.table, generation=2, routes=(replace(shop, name="other"),))
            for number in range(2, 10):
                made.workers.publish(replace(table, generation=number))
                for end in launcher.ends:
                    await loop.sock_sendall(end, encode(Acknowledged(number)))
            await made.workers.acknowledged(9)
            now = time.monotonic()
            for route in ("shop", "other"):
                key = KEY._replace(route=route)
                await loop.sock_sendall(launcher.ends[0], encode(Delta(9, now, (CounterDelta(key, int(now), 1),))))
            await until(lambda: made.plane.counters.sums("other", "canary").decisions.total() == 1)
            assert made.plane.counters.sums("shop", "canary").decisions.total() == 1
            assert made.workers.restarts == 0

    run(test())


def test_users_are_numbered_under_a_key_that_no_other_instance_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async def secrets() -> set[bytes]:
        async with instance(monkeypatch) as (_, launcher):
            found = set()
            for end in launcher.ends:
                for message in Decoder(DOWN).feed(await asyncio.get_running_loop().sock_recv(end, 2**20)):
                    assert isinstance(message, WorkerConfig)
                    found.add(message.secret)
            return found

    async def test() -> None:
        (one,), (other,) = await secrets(), await secrets()
        assert len(one) == len(other) == 16
        assert one != other

    run(test())
