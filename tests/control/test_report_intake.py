"""What becomes of a report."""

from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.processes.subscriptions import WorkerGone, WorkerReport, WorkersChanged
from tests.support.rollout_driver import JO, Bench


async def test_a_report_is_counted_and_judged_and_who_is_gone_has_nothing_open() -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    await bench.controller.set_weight("shop", 500, JO)
    cell = CounterDelta(CounterKey("shop", "canary", "e", "weight", True), 1000, 7, {"success": 7})
    report = Delta(bench.tables.generation, bench.now, (cell,), in_flight={("shop", "canary"): 2})
    bench.reports.publish(WorkerReport(0, report))
    assert bench.window.sample(("shop", "canary"), bench.now, 10).requests == 7
    assert bench.judges.analysis("shop", bench.now).exposed.requests == 7
    assert bench.counters.in_flight(("shop", "canary")) == 2
    bench.reports.publish(WorkerGone(0))
    assert bench.counters.in_flight(("shop", "canary")) == 0


async def test_listeners_hear_what_becomes_of_workers() -> None:
    bench = Bench()
    queue = bench.events.subscribe()
    assert queue is not None
    bench.reports.publish(WorkersChanged("worker 1 ended"))
    event = queue.get_nowait()
    assert event is not None
    assert (event.kind, event.detail) == ("worker", {"detail": "worker 1 ended"})


async def test_a_route_that_leaves_the_config_is_forgotten() -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    await bench.second()
    assert bench.window.sample(("shop", "stable"), bench.now, 10).requests
    bench.text = lambda _: "routes: {blog: {stable: 'http://127.0.0.1:1'}}"
    await bench.reload()
    assert bench.window.sample(("shop", "stable"), bench.now, 10).requests == 0
