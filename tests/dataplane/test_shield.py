"""The shield's account and its clock."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane.shield import MAX_AHEAD_SECONDS, MAX_SAVED_SECONDS, DeadlineQueue, RetryBudget
from tests.support.cluster import run


def spent(share: int, count: int, every: float = 0.01) -> int:
    """Answers by stable when all of `count` requests fail, one after another."""
    budget, answered = RetryBudget(), 0
    for number in range(count):
        now = number * every
        budget.deposit(share, now)
        answered += budget.withdraw(share, now, 2.0)
    return answered


def test_exactly_the_share_of_a_failing_canary_is_answered_by_stable() -> None:
    assert spent(2_000, 1_000) == 200
    assert spent(1, 9_999) == 0
    assert spent(1, 10_000, every=0.0001) == 1
    assert spent(10_000, 1_000) == 1_000
    assert spent(0, 1_000) == 0


@given(st.integers(0, 10_000), st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=200))
def test_never_more_than_the_share_whatever_fails_when(share: int, requests: list[tuple[bool, float]]) -> None:
    budget, now, answered = RetryBudget(), 0.0, 0
    for number, (fails, pause) in enumerate(requests, 1):
        now += pause
        budget.deposit(share, now)
        answered += fails and budget.withdraw(share, now, 2.0)
        assert answered * 10_000 <= share * number


def test_what_a_quiet_time_saved_expires() -> None:
    budget = RetryBudget()
    for _ in range(1_000):
        budget.deposit(2_000, 0.0)
    assert budget.withdraw(2_000, MAX_SAVED_SECONDS, 2.0)
    assert not budget.withdraw(2_000, MAX_SAVED_SECONDS + 4.0, 2.0)


class Request:
    """Something that waits."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def overdue(self) -> None:
        self.over.set()


def test_time_is_over_a_moment_early_and_never_late_by_a_sweep() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        patience, one, other, done = DeadlineQueue(loop, 0.1), Request(), Request(), Request()
        began = loop.time()
        for request in (one, done):
            patience.add(request)
        await asyncio.sleep(0.03)
        patience.add(other)
        patience.remove(done)
        patience.remove(done)
        await one.over.wait()
        assert loop.time() - began >= 0.1 - MAX_AHEAD_SECONDS - 0.002
        assert len(patience) == 1
        await other.over.wait()
        assert loop.time() - began >= 0.13 - MAX_AHEAD_SECONDS - 0.002
        assert not patience
        assert not done.over.is_set()

    run(test())


def test_who_waits_when_all_is_over_hears_nothing() -> None:
    async def test() -> None:
        patience, one = DeadlineQueue(asyncio.get_running_loop(), 0.02), Request()
        patience.add(one)
        patience.cancel()
        patience.cancel()
        await asyncio.sleep(0.05)
        assert not one.over.is_set()

    run(test())
