"""Canaries that are replaced where they are."""

import pytest

from tests.support.rolling import JO, Bench


async def test_a_canary_that_calls_itself_something_else_begins_anew_once_it_has_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench("steps: [5, 25, 50, 100], start: auto", canary=", health: {path: /, version_header: x-version}")
    told = "1.0"
    monkeypatch.setattr(bench.controller, "canary_version", lambda _: told)
    await bench.controller.start()
    for _ in range(3):
        await bench.second()
    assert bench.shop.rollout.phase == "idle"
    told = "2.0"
    for _ in range(10):
        await bench.second()
    assert bench.shop.rollout.phase == "idle"
    await bench.second()
    assert (bench.shop.rollout.phase, bench.weight("shop")) == ("progressing", 500)
    await bench.until("progressing")
    await bench.rollouts.do("shop", "promote", JO)
    for told in ("3.0", "2.0", "3.0", ""):  # noqa: B007
        for _ in range(2):
            await bench.second()
    assert bench.shop.rollout.step == 1
    told = "3.0"
    for _ in range(7):
        await bench.second()
    assert bench.shop.rollout.step == 0
    assert bench.judges.analysis("shop", bench.now).exposed.requests < 100
