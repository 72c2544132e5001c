"""The judges of an instance: fed by reports, notified of changes."""

import asyncio
import logging
import random

import pytest

from canaryproxy.config import Config, parse
from canaryproxy.control.events import EventBus
from canaryproxy.control.judges import Judges, analysis_changed
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, OpenRequests, UsersDelta
from canaryproxy.processes.subscriptions import FailingVerdict, Subscription, Verdicts
from canaryproxy.telemetry.read.users import UserRegistry
from tests.support.plane import Weights

TEXT = """
routes:
  shop:
    hosts: [a.test]
    stable: http://127.0.0.1:1
    canary: http://127.0.0.1:{port}
    affinity: {affinity}
    goals: [{{name: cart, path: /cart}}, {{name: revenue, header: x-value}}]
  blog: {{hosts: [b.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}}
"""


def config(port: int = 2, affinity: str = "none") -> Config:
    return parse(TEXT.format(port=port, affinity=affinity), "f", {})


class Bench:
    """Judges with weights that a test sets."""

    def __init__(self, affinity: str = "none") -> None:
        self.weights = Weights({"shop": 500})
        self.events = EventBus(lambda: 7.0)
        self.book = UserRegistry()
        self.verdicts: Verdicts = Subscription()
        self.judges = Judges(
            config(affinity=affinity),
            0.0,
            self.weights,
            lambda: 1,
            random.Random(1).random,
            self.events,
            self.verdicts,
        )
        self.queue = self.events.subscribe()

    def report(self, at: float, canary_fails: bool = False, **more: object) -> None:
        cells = tuple(
            CounterDelta(
                CounterKey(route, version, "e", "weight", analysed),
                int(at),
                count,
                {"error_5xx" if fails else "success": count},
                latency={-192: count},
                replies={500: count} if fails else {},
            )
            for route, version, count, fails, analysed in (
                ("shop", "stable", 57, False, True),
                ("shop", "canary", 3, canary_fails, True),
                ("shop", "canary", 50, True, False),
                ("gone", "canary", 50, True, True),
            )
        )
        delta = Delta(1, at, cells, **more)  # type: ignore[arg-type]
        self.judges.add(0, delta, self.book.add(delta, self.weights.get))


def test_a_canary_that_fails_everything_is_known_with_the_first_report(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    heard: list[FailingVerdict] = []
    bench.verdicts.subscribe(heard.append)
    with caplog.at_level(logging.WARNING):
        bench.report(10.0, canary_fails=True)
        bench.report(10.2, canary_fails=True)
    analysis = bench.judges.analysis("shop", 10.2)
    assert [(one.route, one.analysis.verdict) for one in heard] == [("shop", "fail")]
    assert analysis.verdict == "fail"
    assert "the canary fails: canary failed 3 of 3 requests" in caplog.text
    asyncio.run(bench.judges.tick(11.0))
    assert len(caplog.records) == 1


def test_a_verdict_that_changes_is_an_event() -> None:
    bench = Bench()

    async def test() -> None:
        await bench.judges.tick(9.0)
        for second in range(10, 60):
            bench.report(second + 0.5)
            await bench.judges.tick(second + 1.0)

    asyncio.run(test())
    assert bench.queue is not None
    event = bench.queue.get_nowait()
    assert event is not None
    assert (event.kind, event.route, event.detail["verdict"]) == ("verdict", "shop", "pass")


def test_another_canary_starts_over_and_another_stable_does_not() -> None:
    bench = Bench()
    bench.report(10.0, canary_fails=True)
    bench.report(10.2, canary_fails=True)
    bench.judges.configure(config(), 11.0)
    assert bench.judges.analysis("shop", 11.0).verdict == "fail"
    bench.judges.configure(config(port=3), 11.0)
    assert bench.judges.analysis("shop", 11.0).verdict == "inconclusive"
    assert bench.judges.configure(config(port=3), 11.0) == set()
    assert bench.judges.configure(config(port=4), 11.0) == {"shop"}
    bench.report(11.6, canary_fails=True)
    assert bench.judges.analysis("shop", 11.6).checks[0].samples.canary == 0
    bench.report(12.1, canary_fails=True)
    assert bench.judges.analysis("shop", 12.1).checks[0].samples.canary == 3
    assert bench.judges.analysis("new", 11.0).verdict == "inconclusive"


def test_goals_and_users_are_reported_on() -> None:
    bench = Bench(affinity="cookie")
    users = (
        UsersDelta("shop", "canary", 500, 0, frozenset((1, 2)), frozenset((2,))),
        UsersDelta("shop", "stable", 500, 0, frozenset(range(5, 50))),
    )
    goals = (
        GoalDelta("shop", "canary", "cart", True, 1, 1.0, {-1: 1}, 0, {1: 1.0}),
        GoalDelta("gone", "canary", "x", True, 1, 1.0),
    )
    bench.report(10.0, users=users, goals=goals)
    asyncio.run(bench.judges.tick(11.0))
    checks = {one.name: one for one in bench.judges.analysis("shop", 11.0).checks}
    assert checks["errors"].sentence.startswith("canary failed 1 of 2 users, stable 0 of 45")
    assert checks["goal:cart"].sentence.startswith("cart: 1 of the canary's 2 users, 0 of stable's 45")
    bench.judges.users_seen(bench.book.goal_reached(("shop", "canary", "cart"), {2: 1.0}, 0, 11.0))
    asyncio.run(bench.judges.tick(12.0))
    checks = {one.name: one for one in bench.judges.analysis("shop", 12.0).checks}
    assert checks["goal:cart"].sentence.startswith("cart: 2 of the canary's 2 users")


def test_who_waits_is_reported_and_a_worker_that_is_gone_is_forgotten() -> None:
    bench = Bench()
    waiting = (
        OpenRequests(CounterKey("shop", "canary", "e", "weight", True), 10, 40),
        OpenRequests(CounterKey("shop", "canary", "e", "rule:x", False), 10, 40),
    )
    bench.report(10.0, overdue=waiting)
    bench.judges.worker_exited(1)
    bench.report(15.0, overdue=waiting)
    asyncio.run(bench.judges.tick(15.0))
    assert "canary failed 40 of" in bench.judges.analysis("shop", 15.0).reason


def test_a_route_is_judged_by_its_goals_and_its_affinity() -> None:
    routes = [config(affinity=one).routes["shop"] for one in ("none", "cookie")]
    assert analysis_changed(routes[0], routes[1])
    assert not analysis_changed(routes[0], routes[0])


def test_a_judge_that_breaks_takes_nothing_with_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()
    bench.report(10.0)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken_judge:
        broken_judge.setattr("canaryproxy.analysis.judge.Judge.count", broken)
        bench.report(10.2)
    assert "shop: judge failed; restarted without evidence" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    for at in (10.4, 10.6):
        bench.report(at, canary_fails=True)
    assert bench.judges.analysis("shop", 10.6).verdict == "fail"
    with monkeypatch.context() as broken_judge:
        broken_judge.setattr("canaryproxy.analysis.judge.Judge.tick", broken)
        asyncio.run(bench.judges.tick(11.0))
    assert bench.judges.analysis("shop", 11.0).verdict == "inconclusive"
