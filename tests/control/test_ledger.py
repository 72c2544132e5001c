"""What the log says of a disk that takes nothing, called every second. All else: `test_controller`, `test_rollouts`."""

import logging

import pytest

from tests.support.rolling import JO, Bench, started

FAILS, WORKS = "what holds cannot be kept", "what holds is kept again"


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "canaryproxy")


async def seconds(bench: Bench, count: int) -> None:
    for _ in range(count):
        await bench.rollouts.remember()


async def test_a_full_disk_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started("steps: [25, 50, 100]")
    await seconds(bench, 3)
    assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (0, 0)
    for times in (1, 2):
        bench.store.full = True
        await bench.rollouts.do("shop", "abort", JO)
        await seconds(bench, 5)
        assert not bench.controller.durable
        assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (times, times - 1)
        bench.store.full = False
        await seconds(bench, 3)
        assert bench.controller.durable
        assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (times, times)
        await bench.rollouts.do("shop", "retry", JO)


async def test_what_another_change_has_kept_along_is_told_to_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.store.full = True
    await bench.rollouts.do("shop", "abort", JO)
    bench.store.full = False
    await bench.controller.set_weight("blog", 100, JO)
    assert bench.controller.durable
    await seconds(bench, 3)
    assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (1, 1)
