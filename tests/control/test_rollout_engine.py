"""Rollouts as the instance runs them: what is known goes to the machine, what follows is kept and published."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.results import NoSuchRouteError
from canaryproxy.control.route_states import RevisionConflictError
from canaryproxy.control.state import Audit, State
from canaryproxy.model.table import Endpoint
from canaryproxy.rollout.state import IllegalTransitionError
from canaryproxy.storage.codec import read_state, write_state
from tests.support.rollout_driver import JO, Bench, started


async def test_a_good_canary_is_raised_to_the_whole_and_succeeds() -> None:
    bench = await started("steps: [5, 25, 50, 100]")
    assert (bench.weight("shop"), bench.shop.weight_source) == (500, "rollout")
    took = await bench.until("succeeded")
    assert bench.weight("shop") == 10_000
    assert 3 * 10 + 20 <= took < 200
    assert [one.action for one in await bench.ledger.history("shop", 20)][-1] == "start"
    assert bench.tables.table.routes[0].weight == 10_000


async def test_a_canary_that_fails_is_taken_back_with_the_report_that_shows_it() -> None:
    bench = await started("steps: [25, 50, 100]")
    queue = bench.events.subscribe()
    assert queue is not None
    bench.errors["canary"] = 1.0
    await bench.second()
    assert (bench.shop.rollout.phase, bench.weight("shop"), bench.shop.off) == ("rolled_back", 0, True)
    assert bench.tables.table.routes[0].aborted
    data = [queue.get_nowait() for _ in range(queue.qsize())]
    (phase,) = [one for one in data if one is not None and one.kind == "phase"]
    assert phase.detail["phase"] == "rolled_back"
    assert "rolled back at 25 %: canary failed" in str(phase.detail["sentence"])


async def test_both_failing_together_takes_nothing_back() -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.errors = {"stable": 0.6, "canary": 0.6}
    for _ in range(40):
        await bench.second()
    assert bench.shop.rollout.phase == "progressing"


async def test_while_it_is_under_way_no_one_sets_the_weight_and_the_file_waits() -> None:
    bench = await started()
    with pytest.raises(IllegalTransitionError, match="the rollout is progressing"):
        await bench.controller.set_weight("shop", 500, JO)
    with pytest.raises(NoSuchRouteError):
        await bench.rollouts.do("other", "start", JO)
    with pytest.raises(IllegalTransitionError, match="knows: abort, pause, promote"):
        await bench.rollouts.do("shop", "start", JO)


async def test_an_abort_counts_although_the_disk_is_full_and_nothing_else_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.store.full = True
    for _ in range(30):
        await bench.second()
    assert bench.shop.rollout.step == 0
    assert caplog.text.count("rollout of shop cannot continue, its state cannot be written") == 1
    with pytest.raises(UnwritableStateError):
        await bench.rollouts.do("shop", "promote", JO)
    done = await bench.rollouts.do("shop", "abort", JO)
    assert (done.durable, bench.weight("shop"), bench.shop.off) == (False, 0, True)
    assert bench.tables.table.routes[0].aborted
    with pytest.raises(UnwritableStateError):
        await bench.rollouts.do("shop", "reset", JO)


async def test_what_takes_from_a_canary_waits_for_no_disk() -> None:
    ramped = await started("rollback_step: 10s, steps: [25, 50, 100]")
    ramped.store.full, ramped.errors["canary"] = True, 0.1
    for _ in range(30):
        await ramped.second()
    assert (ramped.shop.rollout.phase, ramped.weight("shop")) == ("rolled_back", 0)
    bake = await started("prove_above: 100%, steps: [100]")
    for _ in range(3):
        await bake.second()
    bake.store.full, bake.errors["canary"] = True, 1.0
    for _ in range(3):
        await bake.second()
    assert (bake.shop.rollout.phase, bake.weight("shop")) == ("rolled_back", 0)


async def test_what_could_not_be_kept_is_kept_as_soon_as_there_is_room() -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.store.full = True
    assert not (await bench.rollouts.do("shop", "abort", JO)).durable
    await bench.rollouts.store_evidence()
    assert not bench.ledger.durable
    bench.store.full = False
    await bench.rollouts.store_evidence()
    assert bench.ledger.durable
    assert bench.store.kept["shop"].rollout.phase == "rolled_back"
    assert next(iter(await bench.ledger.history("shop", 5))).action == "abort"


async def test_a_rollback_waits_for_no_one_whose_disk_hangs_and_is_kept_in_the_end() -> None:
    bench = await started("steps: [25, 50, 100]")
    hanging, saves = threading.Event(), bench.store.save

    def save(state: State, audits: Sequence[Audit] = ()) -> None:
        assert hanging.wait(10)
        saves(state, audits)

    bench.store.save = save  # type: ignore[method-assign]
    promoting = asyncio.create_task(bench.rollouts.do("shop", "promote", JO))
    await asyncio.sleep(0.02)
    aborting = asyncio.create_task(bench.rollouts.do("shop", "abort", JO))
    await asyncio.sleep(0.02)
    assert bench.tables.table.routes[0].aborted
    hanging.set()
    with pytest.raises(RevisionConflictError):
        await promoting
    assert (await aborting).durable
    assert bench.store.kept["shop"].rollout.phase == "rolled_back"
    assert bench.shop.off


async def test_a_file_that_is_heard_meanwhile_undoes_no_rollback() -> None:
    bench = await started("steps: [25, 50, 100]", "rules: []")
    hanging, saves = threading.Event(), bench.store.save

    def save(state: State, audits: Sequence[Audit] = ()) -> None:
        assert hanging.wait(10)
        saves(state, audits)

    bench.store.save = save  # type: ignore[method-assign]
    text = bench.text
    bench.text = lambda port: text(port).replace("rules: []", "rules: [{name: a, headers: {x: '1'}, to: canary}]")
    reloading = asyncio.create_task(bench.reload())
    await asyncio.sleep(0.1)
    aborting = asyncio.create_task(bench.rollouts.do("shop", "abort", JO))
    await asyncio.sleep(0.02)
    assert bench.tables.table.routes[0].aborted
    hanging.set()
    await asyncio.gather(reloading, aborting)
    assert bench.shop.off
    assert bench.tables.table.routes[0].aborted
    await bench.rollouts.do("shop", "reset", JO)
    assert bench.store.kept["shop"].file_rules == bench.shop.file_rules != ""


async def test_another_canary_starts_over_and_one_may_begin_by_itself() -> None:
    bench = await started("steps: [25, 50, 100]")
    await bench.rollouts.do("shop", "promote", JO)
    bench.port = 3
    await bench.reconfiguration.reload()
    assert (bench.shop.rollout.step, bench.weight("shop")) == (0, 2500)
    auto = Bench("start: auto, steps: [5, 100]", "weight: 0")
    await auto.reconfiguration.start()
    auto.port = 3
    await auto.reload()
    assert (auto.shop.rollout.phase, auto.weight("shop")) == ("progressing", 500)
    assert auto.ledger.state["blog"].rollout.phase == "idle"


async def test_a_canary_without_a_healthy_endpoint_is_taken_back_and_not_onto_an_ill_stable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench("steps: [25, 100]", canary=", health: {path: /}")
    await bench.reconfiguration.start()
    await bench.rollouts.do("shop", "start", JO)
    ill: dict[str, list[tuple[Endpoint, str]]] = {
        "stable": [(Endpoint("a", 1), "unhealthy")],
        "canary": [(Endpoint("b", 1), "unhealthy")],
    }
    monkeypatch.setattr(bench.topology, "endpoints", lambda _: ill)
    await bench.rollouts.tick()
    assert (bench.shop.rollout.phase, bench.shop.rollout.reason) == ("paused", "inconclusive")
    ill["stable"] = [(Endpoint("a", 1), "healthy")]
    await bench.rollouts.tick()
    assert bench.shop.rollout.why == "no endpoint of the canary passes its health check"
    assert bench.shop.off


async def test_it_is_known_how_long_a_step_takes() -> None:
    bench = await started("steps: [1, 50, 100]")
    assert bench.ledger.next_weight_of("shop") == 5000
    assert bench.ledger.next_weight_of("blog") is None
    assert bench.observations.traffic("shop") == pytest.approx(200)
    assert bench.observations.estimate("shop") == pytest.approx(100 / (200 * 0.01))
    await bench.rollouts.do("shop", "promote", JO)
    assert bench.ledger.next_weight_of("shop") == 10_000
    assert bench.observations.estimate("shop") == pytest.approx(1600 / (200 * 0.5))
    assert bench.observations.estimate("blog") == 0
    assert "1 under way" in repr(bench.rollouts)


async def test_a_step_that_will_take_long_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench("steps: [0.1, 100], step_timeout: 5m")
    await bench.reconfiguration.start()
    for _ in range(12):
        await bench.second()
    await bench.rollouts.do("shop", "start", JO)
    assert "shop: at 400 requests/s the step to 0.1 % needs about 66.7 min" in caplog.text
    quiet = Bench("steps: [1, 100]")
    await quiet.reconfiguration.start()
    await quiet.rollouts.do("shop", "start", JO)
    assert "the step to 1 % needs traffic, but there is none" in caplog.text


async def test_with_analysis_off_time_alone_raises_it() -> None:
    bench = await started("steps: [25, 50, 100]", "analysis: off")
    bench.errors["canary"] = 1.0
    assert await bench.until("succeeded") < 60


async def test_a_mistake_of_ours_stops_one_rollout_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await started("steps: [25, 50, 100]", "analysis: off")

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.controller, "apply_event", broken)
    with caplog.at_level(logging.ERROR):
        for _ in range(12):
            await bench.second()
    assert "rollout of shop failed to continue" in caplog.text
    await bench.rollouts.tick_route("gone")


HOOKS = """hooks: [
  {name: may-start, when: start, url: 'http://g/start'}, {name: may-rise, when: raise, url: 'http://g/raise'},
  {name: may-end, when: promotion, url: 'http://g/all', metadata: {team: shop}}, {name: back, when: rollback, url:
  'http://h/back'}, {name: done, when: end, url: 'http://h/end'}, {name: all, when: event, url: 'http://h/event'}],
  notify: {url: 'http://chat', min_severity: warning}, steps: [25, 50, 100]"""


async def test_gates_are_asked_before_anything_goes_on_and_the_others_are_notified() -> None:
    bench = Bench(HOOKS)
    bench.refusals["http://g/start"] = "HTTP status 403: not on fridays"
    await bench.reconfiguration.start()
    with pytest.raises(IllegalTransitionError, match="gate may-start: HTTP status 403: not on fridays"):
        await bench.rollouts.do("shop", "start", JO)
    assert bench.shop.rollout.phase == "idle"
    bench.refusals = {"http://g/raise": "HTTP status 409"}
    await bench.rollouts.do("shop", "start", JO)
    for _ in range(13):
        await bench.second()
    assert (bench.shop.rollout.phase, bench.shop.rollout.reason) == ("paused", "gate")
    assert bench.shop.rollout.why == "gate may-rise: HTTP status 409"
    asked = sum(url == "http://g/raise" for url, _ in bench.posted)
    bench.refusals = {}
    await bench.until("succeeded", 200)
    data = [url for url, _ in bench.posted]
    assert asked == 1
    assert data.count("http://g/raise") == 3
    assert (data.count("http://g/all"), data.count("http://h/end"), data.count("http://h/back")) == (1, 1, 0)
    assert data.count("http://h/event") >= 5
    (gate,) = [what for url, what in bench.posted if url == "http://g/all"]
    assert (gate["name"], gate["phase"], gate["metadata"]) == ("shop", "Progressing", {"team": "shop"})
    assert all(what["severity"] != "info" for url, what in bench.posted if url == "http://chat")


async def test_an_abort_while_the_gates_are_asked_is_the_last_word() -> None:
    bench = Bench(HOOKS)
    await bench.reconfiguration.start()
    asked = asyncio.Event()

    async def slow(*_: object) -> str:
        await asked.wait()
        return ""

    bench.rollouts._hooks._post = slow
    starting = asyncio.create_task(bench.rollouts.do("shop", "start", JO))
    await asyncio.sleep(0)
    await bench.rollouts.do("shop", "abort", JO)
    asked.set()
    with pytest.raises(IllegalTransitionError, match="aborted while the gates were asked"):
        await starting
    assert not bench.shop.rollout.moves


async def test_who_begins_by_itself_asks_the_gates_and_begins_for_another_canary_alone() -> None:
    bench = Bench("start: auto, " + HOOKS, "analysis: {min_requests: 50}")
    bench.refusals["http://g/start"] = "HTTP status 403: not on fridays"
    await bench.reconfiguration.start()
    text = bench.text
    bench.text = lambda port: text(port).replace("min_requests: 50", "min_requests: 200")
    await bench.reload()
    assert (bench.shop.rollout.phase, bench.posted) == ("idle", [])
    bench.port = 3
    await bench.reload()
    assert (bench.shop.rollout.phase, [url for url, _ in bench.posted]) == ("idle", ["http://g/start"])
    bench.refusals = {}
    bench.port = 4
    await bench.reload()
    assert bench.shop.rollout.phase == "progressing"


async def test_another_canary_has_the_weight_of_the_first_step_from_its_first_request() -> None:
    bench = await started("steps: [5, 50, 100]")
    await bench.rollouts.do("shop", "promote", JO)
    bench.port = 3
    bench.store.full = True
    seen = len(bench.workers.tables)
    await bench.reload()
    tables = [table.routes[0] for table in bench.workers.tables[seen:]]
    assert {(route.versions[1].endpoints[0].port, route.weight) for route in tables} == {(3, 500)}
    assert not bench.ledger.durable


async def test_one_that_is_taken_back_step_by_step_is_reported_once() -> None:
    bench = await started("rollback_step: 5s, " + HOOKS)
    await bench.rollouts.do("shop", "promote", JO)
    bench.errors["canary"] = 0.1
    for _ in range(30):
        await bench.second()
    assert bench.weight("shop") == 0
    assert [url for url, _ in bench.posted].count("http://h/back") == 1


STEP = """steps: [{weight: 0, for: 3s, mirror: {percent: 10}, rules: [{name: staff, headers: {x: '1'}, to: canary}]},
50, 100]
"""


async def test_a_step_brings_its_rules_and_its_mirror_and_takes_them_with_it() -> None:
    bench = await started(STEP)
    route = bench.tables.table.routes[0]
    assert (route.weight, [rule.name for rule in route.rules], route.mirror is not None) == (0, ["staff"], True)
    for _ in range(4):
        await bench.second()
    route = bench.tables.table.routes[0]
    assert (route.weight, route.rules, route.mirror) == (5000, (), None)


async def test_reset_ends_a_latch_too() -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    latched = replace(bench.shop, latched="the stored state was damaged")
    bench.ledger.put("shop", latched, JO, "state", "", 1)
    assert bench.shop.off
    await bench.rollouts.do("shop", "reset", JO)
    assert (bench.shop.latched, bench.shop.off) == ("", False)
    with pytest.raises(IllegalTransitionError):
        await bench.rollouts.do("shop", "reset", JO)


async def test_while_a_gate_is_not_known_the_canary_is_watched_all_the_same() -> None:
    bench = await started(HOOKS)
    bench.refusals = {"http://g/raise": "HTTP status 409"}
    await bench.until("paused")
    bench.rollouts._hooks._answers.clear()
    bench.errors["canary"] = 1.0
    await bench.second()
    assert bench.shop.off


async def test_a_rollback_is_reported_and_waits_for_no_one() -> None:
    bench = await started(HOOKS)
    bench.errors["canary"] = 1.0
    await bench.second()
    assert bench.shop.rollout.phase == "rolled_back"
    for _ in range(3):
        await asyncio.sleep(0)
    (back,) = [what for url, what in bench.posted if url == "http://h/back"]
    assert back["phase"] == "Failed"
    assert back["metadata"]["eventType"] == "Warning"
    assert "rolled back at 25 %" in back["metadata"]["eventMessage"]
    (chat,) = [what for url, what in bench.posted if url == "http://chat"]
    assert (chat["severity"], chat["route"]) == ("critical", "shop")


async def test_a_rollout_that_begins_right_after_another_has_evidence_of_its_own() -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.errors["canary"] = 1.0
    await bench.second()
    assert bench.shop.off
    bench.errors["canary"] = 0.0
    await bench.rollouts.do("shop", "retry", JO)
    await bench.second()
    await bench.second()
    assert not bench.shop.off
    assert bench.judges.analysis("shop", bench.now).exposed.failed == 0


async def test_its_state_is_kept_as_it_is() -> None:
    bench = await started("steps: [25, {weight: 50, hold: true}, 100]")
    state = bench.shop
    assert read_state(write_state(state)) == state
    data = json.loads(write_state(state))
    del data["rollout"]
    assert read_state(json.dumps(data)).rollout.phase == "idle"


async def ramping(bench: Bench) -> None:
    bench.errors["canary"] = 0.05
    await bench.until("rolled_back")
    assert (bench.weight("shop") or 0) > 0


async def baking(bench: Bench) -> None:
    await bench.rollouts.do("shop", "start", JO)
    await bench.rollouts.do("shop", "promote", JO, full=True)


async def in_phase(phase: str) -> Bench:
    bench = Bench("rollback_step: 1h, steps: [25, 50, 100]", "fallback: both\n    mirror: {percent: 10}")
    await bench.reconfiguration.start()
    for _ in range(5):
        await bench.second()
    do = bench.rollouts.do
    if phase == "latched":
        latched = replace(bench.shop, latched="the stored state was damaged")
        bench.ledger.put("shop", latched, JO, "state", "", 1)
    elif phase == "ramped":
        await do("shop", "start", JO)
        await bench.rollouts.do("shop", "promote", JO)
        await ramping(bench)
    elif phase != "idle":
        await baking(bench) if phase in ("baking", "succeeded") else await do("shop", "start", JO)
        if phase == "paused":
            await do("shop", "pause", JO)
        if phase == "succeeded":
            await do("shop", "promote", JO)
    expected = {"latched": "idle", "ramped": "rolled_back"}.get(phase, phase)
    assert bench.shop.rollout.phase == expected
    return bench


PHASES = ["idle", "latched", "progressing", "paused", "baking", "succeeded", "ramped"]


@pytest.mark.parametrize("phase", PHASES)
async def test_an_abort_turns_the_canary_off_in_every_phase_and_it_lasts(
    phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await in_phase(phase)
    caplog.clear()
    done = await bench.rollouts.do("shop", "abort", JO)
    for _ in range(2):
        assert (done.rollout.phase, done.rollout.weight, bench.shop.off) == ("rolled_back", 0, True)
        assert bench.tables.table.routes[0].aborted
        assert bench.store.kept["shop"].off
        done = await bench.rollouts.do("shop", "abort", JO)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_an_abort_where_nothing_reaches_the_canary_changes_nothing() -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    before = bench.ledger.revision("shop")
    done = await bench.rollouts.do("shop", "abort", JO)
    assert (done.rollout.phase, bench.ledger.revision("shop")) == ("idle", before)


@pytest.mark.parametrize("what", ["weight", "rules", "start"])
async def test_an_abort_is_the_last_word_on_what_is_being_written(what: str) -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    held, go = threading.Event(), threading.Event()
    save = bench.store.save

    def slow(state: State, audits: Sequence[Audit] = ()) -> None:
        held.set()
        go.wait(5)
        save(state, audits)

    bench.store.save = slow  # type: ignore[method-assign]
    rule = bench.topology.config.routes["shop"].rules
    changes: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "weight": lambda: bench.controller.set_weight("shop", 5000, JO),
        "rules": lambda: bench.controller.set_rules("shop", lambda _: rule, JO),
        "start": lambda: bench.rollouts.do("shop", "start", JO),
    }
    writing = asyncio.create_task(changes[what]())
    await asyncio.to_thread(held.wait, 5)
    aborting = asyncio.ensure_future(bench.rollouts.do("shop", "abort", JO))
    await asyncio.sleep(0)
    go.set()
    assert (await aborting).rollout.phase == "idle"
    with pytest.raises(RevisionConflictError):
        await writing
    assert (bench.weight("shop"), bench.shop.rollout.phase, bench.store.kept["shop"].weight) == (0, "idle", 0)


async def test_of_several_verbs_with_one_revision_exactly_one_moves() -> None:
    bench = await started("steps: [10, 20, 30, 40, 100]")
    revision = bench.ledger.revision("shop")
    asked = [bench.rollouts.do("shop", "promote", JO, revision=revision) for _ in range(5)]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == [*["RevisionConflictError"] * 4, "RolloutResult"]
    assert bench.shop.rollout.step == 1
    with pytest.raises(RevisionConflictError):
        await bench.rollouts.do("shop", "abort", JO, revision=revision)
    assert not bench.shop.off
    await bench.rollouts.do("shop", "abort", JO, revision=bench.ledger.revision("shop"))
    assert bench.shop.off


async def test_gates_are_not_asked_for_what_is_stale_and_a_change_while_they_are_asked_counts() -> None:
    bench = Bench("hooks: [{name: gate, when: start, url: 'http://h/start'}]")
    await bench.reconfiguration.start()
    revision = bench.ledger.revision("shop")
    with pytest.raises(RevisionConflictError):
        await bench.rollouts.do("shop", "start", JO, revision=revision + 1)
    assert bench.posted == []
    post = bench.post

    async def meanwhile(*asked: Any) -> str:
        await bench.controller.set_weight("shop", 0, JO)
        return await post(*asked)

    bench.rollouts._hooks._post = meanwhile
    with pytest.raises(RevisionConflictError):
        await bench.rollouts.do("shop", "start", JO, revision=revision)
    assert bench.shop.rollout.phase == "idle"


async def test_the_revision_changes_with_every_step_and_phase_and_not_with_an_estimate() -> None:
    bench = await started("steps: [25, 50, 100]")
    seen: dict[int, set[tuple[str, int | None, int]]] = {}
    for _ in range(200):
        rollout = bench.shop.rollout
        seen.setdefault(bench.ledger.revision("shop"), set()).add((rollout.phase, rollout.step, rollout.weight))
        await bench.second()
        if rollout.phase == "succeeded":
            break
    assert rollout.phase == "succeeded"
    assert all(len(states) == 1 for states in seen.values())
    assert len(seen) == len({state for states in seen.values() for state in states})
