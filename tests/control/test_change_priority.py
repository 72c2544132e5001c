"""Changes go first, and no reader waits for them for long."""

import asyncio

import pytest

from canaryproxy.control import controller
from canaryproxy.control.controller import ChangePriority


async def test_who_reads_waits_until_all_changes_are_done() -> None:
    first = ChangePriority()
    done: list[str] = []

    async def read() -> None:
        await first.yield_to_changes()
        done.append("read")

    with first.change():
        with first.change():
            reading = asyncio.get_running_loop().create_task(read())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append("changed")
    await reading
    assert done == ["changed", "read"]


async def test_without_a_change_no_one_waits() -> None:
    first = ChangePriority()
    reading = first.yield_to_changes()
    with pytest.raises(StopIteration):
        reading.send(None)


async def test_a_change_that_hangs_stops_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "MAX_WAIT_SECONDS", 0.01)
    first = ChangePriority()
    with first.change():
        await first.breathe()


async def test_a_change_that_fails_is_over() -> None:
    first = ChangePriority()
    with pytest.raises(RuntimeError), first.change():
        raise RuntimeError
    await first.yield_to_changes()
