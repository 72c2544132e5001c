"""The control plane as a whole: from a report to another table, and its end."""

from canaryproxy.control.route_states import OPERATOR
from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.processes.subscriptions import WorkerReport
from tests.support.rollout_driver import JO, started


async def test_reports_of_a_canary_that_fails_take_it_back_without_waiting_for_a_look() -> None:
    bench = await started("steps: [50, 100]")
    assert bench.shop.weight == 5000
    await bench.second()
    for _ in range(5):
        bench.now += 0.25
        cells = tuple(
            CounterDelta(
                CounterKey("shop", version, "e", "weight", True), int(bench.now), 100, {outcome: 100}, replies=replies
            )
            for version, outcome, replies in (("stable", "success", {200: 100}), ("canary", "error_5xx", {500: 100}))
        )
        bench.reports.publish(WorkerReport(0, Delta(bench.tables.generation, bench.now, cells)))
        await bench.settled()
    assert (bench.shop.rollout.phase, bench.shop.rollout.reason, bench.shop.weight) == ("rolled_back", "verdict", 0)
    assert bench.workers.tables[-1].routes[0].aborted


async def test_what_could_not_be_stored_is_tried_once_more_at_the_end() -> None:
    bench = await started("steps: [25, 100]")
    bench.store.full = True
    assert not (await bench.rollouts.do("shop", "abort", JO)).durable
    bench.store.full = False
    bench.stop()
    await bench.close()
    assert bench.store.kept["shop"].off


async def test_an_end_with_a_disk_that_takes_nothing_is_an_end() -> None:
    bench = await started("steps: [25, 100]")
    bench.store.full = True
    await bench.rollouts.do("shop", "abort", OPERATOR)
    bench.stop()
    await bench.close()
    assert not bench.store.kept["shop"].off
