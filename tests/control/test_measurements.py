"""Sources are asked while a canary has a share; one that does not answer makes its check unknown, loudly."""

import asyncio
import logging
from typing import Any

import pytest

from canaryproxy.analysis.finding import Finding
from canaryproxy.config import Config, parse
from canaryproxy.config.schema.sources import CheckConfig, ResourceConfig
from canaryproxy.control.events import EventBus
from canaryproxy.control.judges import Judges
from canaryproxy.control.measurements import Measurements, pause_of
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, MirrorDelta
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.failing_dependencies import FailingDependencies
from canaryproxy.probes.scrape import ScrapeError
from canaryproxy.processes.subscriptions import Subscription
from tests.support.plane import Weights

TEXT = """
routes:
  shop:
    stable: http://127.0.0.1:1
    canary: http://127.0.0.1:2
    analysis:
      resources: [{{name: cpu, counter: cpu_total, block: 10s}}]
      checks: [{{name: load, url: 'http://q/{{{{version}}}}', max: {most}}}, {{name: all, url: 'http://q/', max: 1}}]
"""

STABLE, CANARY = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


def config(most: float = 1.0) -> Config:
    return parse(TEXT.format(most=most), "f", {})


class Bench:
    """Sources whose time passes as fast as the loop turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.weights = Weights({"shop": 5000})
        self.cpu = {STABLE: 0.0, CANARY: 0.0}
        self.values: dict[str, float | Exception] = {"canary": 0.5, "stable": 0.4}
        self.asked: list[str] = []
        self.judges = Judges(
            config(),
            0.0,
            self.weights,
            lambda: 1,
            lambda: 0.5,
            EventBus(lambda: 0.0),
            Subscription(),
        )
        ends: dict[str, list[tuple[Endpoint, str]]] = {"stable": [(STABLE, "healthy")], "canary": [(CANARY, "unknown")]}
        self.sources = Measurements(
            self.judges,
            self.weights.weight_of,
            lambda _: ends,
            self.scrape,
            self.ask,
            lambda: self.now,
            FailingDependencies(lambda: self.now),
        )
        self.sleep = asyncio.sleep
        monkeypatch.setattr("canaryproxy.control.measurements.asyncio.sleep", self.pause)
        self.turns = 0

    async def pause(self, seconds: float) -> None:
        self.turns += 1
        await self.sleep(0)

    async def scrape(self, endpoint: Endpoint, resource: ResourceConfig) -> tuple[float, float | None]:
        if isinstance(self.values["canary"], Exception):
            raise self.values["canary"]
        return self.cpu[endpoint], None

    async def ask(self, check: CheckConfig, route: str, version: str) -> float:
        self.asked.append(f"{check.name}:{version}")
        value = self.values[version]
        if isinstance(value, Exception):
            raise value
        return value

    async def seconds(self, count: int, canary_cost: float = 0.001) -> None:
        for _ in range(count):
            self.now += 1
            cells = tuple(
                CounterDelta(CounterKey("shop", version, at.authority, "weight", True), int(self.now), 100)
                for version, at in (("stable", STABLE), ("canary", CANARY))
            )
            self.sources.add(Delta(1, self.now, cells))
            self.cpu[STABLE] += 100 * 0.001
            self.cpu[CANARY] += 100 * canary_cost
            for _ in range(8):
                await self.sleep(0)

    def finding(self, name: str) -> Finding:
        return next(one for one in self.judges.analysis("shop", self.now).checks if one.name == name)


async def test_what_a_request_costs_is_measured_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.sources.configure(config())
    await bench.seconds(65, canary_cost=0.0015)
    bench.sources.stop()
    cpu = bench.finding("resource:cpu")
    assert cpu.samples.canary >= 5
    assert cpu.ratio == pytest.approx(1.5, rel=0.02)
    assert (cpu.verdict, cpu.comparison) == ("fail", "worse")


async def test_both_versions_are_asked_where_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.sources.configure(config())
    await bench.seconds(3)
    bench.sources.stop()
    assert {"load:canary", "load:stable", "all:canary"} == set(bench.asked)
    assert bench.finding("check:load").sentence == "check:load is 0.5, within its bounds"


async def test_who_does_not_answer_is_unknown_said_once_and_known_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(monkeypatch)
    bench.values["canary"] = ScrapeError("HTTP status 503")
    bench.sources.configure(config())
    with caplog.at_level(logging.INFO):
        await bench.seconds(15)
        assert bench.finding("check:load").sentence == "check:load is unknown: HTTP status 503"
        assert bench.finding("resource:cpu").unknown
        assert caplog.text.count("shop: load is not available; the rollout waits for it: HTTP status 503") == 1
        bench.values["canary"] = 0.5
        await bench.seconds(25)
    assert bench.finding("check:load").verdict == "pass"
    assert not bench.finding("resource:cpu").unknown
    assert "shop: load is available again" in caplog.text
    bench.sources.stop()


async def test_no_one_is_asked_without_a_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.weights["shop"] = 0
    bench.sources.configure(config())
    await bench.seconds(5)
    assert not bench.asked
    assert bench.turns > 5
    bench.sources.stop()


async def test_a_mistake_of_ours_is_logged_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(monkeypatch)
    bench.values["canary"] = ZeroDivisionError()
    bench.sources.configure(config())
    await bench.seconds(3)
    assert "shop: internal error while reading load" in caplog.text
    bench.values["canary"] = 0.5
    await bench.seconds(3)
    assert bench.finding("check:load").verdict == "pass"
    bench.sources.stop()


async def test_another_config_asks_for_what_is_new_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.sources.configure(config())
    before: dict[Any, Any] = dict(bench.sources._tasks)
    bench.sources.configure(config(most=2.0))
    kept = {key: task for key, task in bench.sources._tasks.items() if key in before}
    assert len(kept) == 2
    assert all(before[key] is task for key, task in kept.items())
    bench.sources.configure(parse("{stable: 'http://a:1', canary: 'http://b:1'}", "f", {}))
    assert not bench.sources._tasks
    await bench.sleep(0)


async def test_another_canary_begins_another_block(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.sources.configure(config())
    bench.sources.add(Delta(1, 0.0, mirrors=(MirrorDelta("shop", 5),)))
    await bench.seconds(9)
    bench.judges.configure(config(most=3.0), 9.0)
    bench.sources.configure(config(most=3.0))
    await bench.seconds(5)
    assert bench.finding("resource:cpu").samples.canary == 0
    gone = CounterDelta(CounterKey("shop", "stable", "10.0.0.9:80", "weight", True), 14, 100)
    bench.sources.add(Delta(1, 14.0, (gone,)))
    await bench.seconds(10)
    assert bench.finding("resource:cpu").samples.canary == 1
    assert set(bench.sources._sent) == {STABLE.authority, CANARY.authority}
    bench.sources.stop()


def test_a_block_has_ten_readings_and_none_is_rarer_than_a_scrape() -> None:
    pauses = [
        pause_of(ResourceConfig.model_validate({"name": "a", "counter": "b", "block": block}))
        for block in ("5s", "1m", "1h")
    ]
    assert pauses == [0.5, 6.0, 15.0]
