"""One reader at a time, a few who wait, and the rest refused."""

import asyncio

import pytest

from canaryproxy.admin import fair_queue
from canaryproxy.admin.fair_queue import FairQueue, ReaderQuota
from canaryproxy.admin.problems import ApiError
from canaryproxy.control.controller import ChangePriority


async def test_the_loop_has_a_turn_between_two_readers_even_where_none_of_them_waits_for_anything() -> None:
    order: list[str] = []
    mine = FairQueue("read", ChangePriority(), {})

    async def read() -> None:
        async with mine.turn():
            order.append("read")

    async def other() -> None:
        for _ in range(4):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*(read() for _ in range(3)), other())
    assert "read read" not in " ".join(order[:6])


async def test_few_wait_and_the_rest_are_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_WAITING", 2)
    counts: dict[str, int] = {}
    mine = FairQueue("history", ChangePriority(), counts)
    open_now, served = asyncio.Event(), 0

    async def read() -> None:
        nonlocal served
        async with mine.turn():
            await open_now.wait()
            served += 1

    tasks = [asyncio.get_running_loop().create_task(read()) for _ in range(5)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    refused = [task.exception() for task in done]
    assert all(
        isinstance(one, ApiError) and one.status == 503 and one.headers == {"Retry-After": "1"} for one in refused
    )
    open_now.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (served, counts) == (3, {"history": 2})
    async with mine.turn():
        pass


async def test_who_goes_while_he_waits_leaves_his_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_WAITING", 1)
    mine = FairQueue("read", ChangePriority(), {})
    async with mine.turn():
        for _ in range(3):
            task = asyncio.get_running_loop().create_task(mine.turn().__aenter__())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    async with mine.turn():
        pass


def test_one_address_cannot_take_all_the_room_and_what_was_taken_is_given_back() -> None:
    counts: dict[str, int] = {}
    room = ReaderQuota("metrics", 3, 2, counts)
    with room.entered("a"), room.entered("a"):
        with pytest.raises(ApiError), room.entered("a"):
            pass
        with room.entered("b"), pytest.raises(ApiError), room.entered("c"):
            pass
    with room.entered("a"):
        assert not room.full("a")
        with room.entered("a"):
            assert room.full("a")
            assert not room.exhausted
    assert not room.full("a")
    assert counts == {"metrics": 2}
