"""When TLS handshakes begin, and which gives way. On real sockets: test_pending_connection.py."""

import asyncio

import pytest

from canaryproxy.dataplane import handshakes
from canaryproxy.dataplane.eviction import ConnectionSlot
from canaryproxy.dataplane.handshakes import HandshakeQueue
from tests.support.cluster import run


class Applicant:
    """A client that has sent its hello."""

    def __init__(self, hall: HandshakeQueue, client_group: str, begun: list[str], *, gone: bool = False) -> None:
        self.client_group = client_group
        self.since = 0.0
        self.ended = False
        self.slot: ConnectionSlot | None = None
        self._hall = hall
        self._begun = begun
        self._gone = gone

    def idle_since(self) -> float:
        return self.since

    def owing(self) -> bool:
        return True

    def evict(self) -> None:
        self.ended = True

    def begin(self) -> bool:
        if self._gone:
            return False
        self.since = asyncio.get_running_loop().time()
        self.slot = self._hall.enter(self)
        self._begun.append(self.client_group)
        return True


def test_few_begin_in_a_turn_of_the_loop_and_addresses_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "TURN_SECONDS", -1.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 100, lambda: None)
        for address in ("a", "a", "a", "b", "c"):
            hall.request(Applicant(hall, address, begun, gone=address == "c"))
        assert (hall.waiting, hall.under_way) == (5, 0)
        for number in range(1, 5):
            await asyncio.sleep(0)
            assert hall.under_way <= number
        while hall.waiting:
            await asyncio.sleep(0)
        assert begun == ["a", "b", "a", "a"]
        assert (hall.under_way, hall.waiting) == (4, 0)

    run(test())


def test_the_longest_of_the_address_with_most_gives_way() -> None:
    async def test() -> None:
        evicted, begun = 0, list[str]()

        def count() -> None:
            nonlocal evicted
            evicted += 1

        hall = HandshakeQueue(asyncio.get_running_loop(), 6, count)
        honest = Applicant(hall, "honest", begun)
        flood = [Applicant(hall, "flood", begun) for _ in range(20)]
        honest.begin()
        for one in flood:
            one.begin()
        assert not honest.ended
        assert [one.ended for one in flood] == [True] * 15 + [False] * 5
        assert (evicted, hall.under_way) == (15, 6)
        for one in [honest, *flood]:
            assert one.slot is not None
            hall.leave(one.slot)
        assert hall.under_way == 0

    run(test())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_flood_that_comes_back_as_fast_as_it_is_cut_is_cut_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: all that gave way ask again at once. A signature for each would leave no time for others."""
    monkeypatch.setattr(handshakes, "PACE", 3600.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 6, lambda: None)
        flood = [Applicant(hall, "flood", begun) for _ in range(40)]
        for one in flood:
            hall.request(one)
        await turns(40)
        assert sum(one.ended for one in flood) == 1
        assert (len(begun), hall.under_way, hall.waiting) == (7, 6, 33)
        for number in range(3):  # whose address has none under way need not wait
            hall.request(Applicant(hall, f"honest {number}", begun))
            await turns()
        assert begun[7:] == ["honest 0", "honest 1", "honest 2"]
        hall.close()

    run(test())


def test_an_address_with_none_under_way_is_the_first_though_it_came_before_all_places_were_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attack: half handshakes from hundreds of addresses, each of which has a line of its own."""
    monkeypatch.setattr(handshakes, "PACE", 3600.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 4, lambda: None)
        for number in range(20):
            hall.request(Applicant(hall, f"flood {number % 4}", begun))
        hall.request(Applicant(hall, "honest", begun))
        hall.request(Applicant(hall, "honest", begun))
        await turns(30)
        assert begun[:4] == ["flood 0", "flood 1", "flood 2", "flood 3"]
        assert begun.count("honest") == 1
        assert len(begun) <= 7
        hall.close()

    run(test())


def test_one_that_ends_lets_the_next_one_begin_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "PACE", 3600.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 2, lambda: None)
        line = [Applicant(hall, "a", begun) for _ in range(10)]
        for one in line:
            hall.request(one)
        await turns(10)
        assert len(begun) == 3
        for one in line:
            if one.slot is not None and not one.ended:
                hall.leave(one.slot)
        await turns(10)
        assert len(begun) == 5
        hall.close()

    run(test())


def test_another_gives_way_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "PACE", 0.001)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 2, lambda: None)
        for _ in range(10):
            hall.request(Applicant(hall, "a", begun))
        async with asyncio.timeout(30):
            while hall.waiting:
                await asyncio.sleep(0.001)
        assert (len(begun), hall.under_way) == (10, 2)

    run(test())


def test_short_turns_let_more_begin() -> None:
    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 1000, lambda: None)
        for _ in range(200):
            hall.request(Applicant(hall, "a", begun))
        turns = 0
        while hall.waiting:
            turns += 1
            await asyncio.sleep(0)
        assert turns <= 200
        assert len(begun) == 200

    run(test())


def test_in_a_long_line_the_newest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "LONG_LINE", 2)
    monkeypatch.setattr(handshakes, "TURN_SECONDS", -1.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 1000, lambda: None)
        line = [Applicant(hall, "a", begun) for _ in range(4)]
        for one in line:
            hall.request(one)
        while hall.waiting:
            await asyncio.sleep(0)
        assert sorted(line, key=lambda one: one.slot.entry[1]) == [line[3], line[2], line[0], line[1]]  # type: ignore[union-attr,index]

    run(test())


def test_an_applicant_that_is_gone_waits_in_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the newest come first, the oldest are never picked as long as a flood lasts."""
    monkeypatch.setattr(handshakes, "LONG_LINE", 2)
    monkeypatch.setattr(handshakes, "TURN_SECONDS", -1.0)

    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 1000, lambda: None)
        line = [Applicant(hall, "a", begun) for _ in range(50)]
        for one in line:
            hall.request(one)
        for one in line[:48]:
            hall.withdraw(one)
            hall.withdraw(one)
        assert hall.waiting == 2
        for one in line[48:]:
            hall.withdraw(one)
        assert hall.waiting == 0
        await asyncio.sleep(0)
        assert not begun

    run(test())


def test_nothing_begins_after_the_end() -> None:
    async def test() -> None:
        begun: list[str] = []
        hall = HandshakeQueue(asyncio.get_running_loop(), 6, lambda: None)
        hall.request(Applicant(hall, "a", begun))
        hall.close()
        hall.close()
        await asyncio.sleep(0)
        assert not begun

    run(test())
