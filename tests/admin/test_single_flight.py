"""What is dear is made once at a time, for all."""

import asyncio

import pytest

from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.single_flight import SingleFlight


class Making:
    """Makes 1, 2, 3 ..., each when it is let."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.begun = self.running = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def make(self) -> int:
        """One more."""
        self.begun += 1
        number = self.begun
        self.running += 1
        assert self.running == 1
        await self.may_end.wait()
        self.running -= 1
        if self.error is not None:
            raise self.error
        return number


def ask(sharing: SingleFlight[int]) -> asyncio.Task[int]:
    return asyncio.get_running_loop().create_task(sharing.get())


async def rest() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_who_ask_meanwhile_or_within_the_second_get_one() -> None:
    making = Making()
    sharing = SingleFlight("it", making.make, lambda: making.clock, 1.0)
    tasks = [ask(sharing) for _ in range(200)]
    await rest()
    making.clock = 0.4
    making.may_end.set()
    assert set(await asyncio.gather(*tasks)) == {1}
    assert [await sharing.get(), making.begun] == [1, 1]
    making.clock = 1.0
    assert await sharing.get() == 2


async def test_who_asks_after_a_change_gets_nothing_that_was_begun_before_it() -> None:
    making, state = Making(), [0]
    sharing = SingleFlight("it", making.make, lambda: making.clock, 60.0, lambda: state[0])
    first = ask(sharing)
    await rest()
    state[0] = 1
    others = [ask(sharing) for _ in range(200)]
    await rest()
    assert making.begun == 1
    making.may_end.set()
    assert await first == 1
    assert set(await asyncio.gather(*others)) == {2}
    assert [await sharing.get(), making.begun] == [2, 2]
    state[0] = 2
    assert set(await asyncio.gather(*[ask(sharing) for _ in range(200)])) == {3}
    assert making.begun == 3


async def test_without_an_age_who_asks_meanwhile_gets_the_next_one_and_all_of_them_the_same() -> None:
    making = Making()
    sharing = SingleFlight("it", making.make, lambda: making.clock)
    first = ask(sharing)
    await rest()
    others = [ask(sharing) for _ in range(200)]
    await rest()
    assert making.begun == 1
    making.may_end.set()
    assert await first == 1
    assert set(await asyncio.gather(*others)) == {2}
    assert await sharing.get() == 3


@pytest.mark.parametrize("kept", [0.0, 1.0])
async def test_what_fails_fails_for_all_who_wait_and_the_next_begins_again(
    kept: float, caplog: pytest.LogCaptureFixture
) -> None:
    making = Making()
    making.error = RuntimeError("the details")
    sharing = SingleFlight("it", making.make, lambda: making.clock, kept)
    tasks = [ask(sharing) for _ in range(3)]
    await rest()
    making.may_end.set()
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert {one.slug for one in failures if isinstance(one, ApiError)} == {"internal-error"}
    assert len({id(one) for one in failures}) == 3
    assert "RuntimeError: the details" in caplog.text
    making.error = None
    assert await sharing.get() == making.begun


async def test_who_goes_takes_nothing_from_the_others() -> None:
    making = Making()
    sharing = SingleFlight("it", making.make, lambda: making.clock, 1.0)
    first, second = ask(sharing), ask(sharing)
    await rest()
    first.cancel()
    await rest()
    making.may_end.set()
    assert await second == 1
    third = ask(sharing)
    third.cancel()
    await rest()
    assert making.begun == 1


async def test_at_the_end_nothing_is_made_any_more() -> None:
    making = Making()
    sharing = SingleFlight("it", making.make, lambda: making.clock)
    tasks = [ask(sharing) for _ in range(3)]
    await rest()
    tasks.append(ask(sharing))
    await rest()
    sharing.stop()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in found)
