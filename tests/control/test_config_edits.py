"""Every key of a route, edited in every phase of its rollout: applied or waiting, with an event; never ignored."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.config import parse
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.control import config_edits
from canaryproxy.control.config_edits import EFFECTS, PLAN, compare, differing
from canaryproxy.control.fingerprint import heard_of
from canaryproxy.rollout.plan import Step
from canaryproxy.rollout.state import IllegalTransitionError
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.rollout_driver import JO, Bench

BASE: dict[str, str] = {
    "hosts": "[a.test]",
    "paths": "[/]",
    "stable": "{url: 'http://127.0.0.1:1'}",
    "canary": "{url: 'http://127.0.0.1:2'}",
    "weight": "0",
    "rules": "[]",
    "affinity": "none",
    "mirror": "none",
    "shield": "off",
    "fallback": "true",
    "goals": "[]",
    "upgrades": "[websocket]",
    "headers": "{add_version: false}",
    "analysis": "{min_requests: 100}",
    "rollout.steps": "[25, 50, 100]",
    "rollout.every": "10s",
    "rollout.bake": "20s",
    "rollout.start": "manual",
    "rollout.prove_above": "50%",
    "rollout.step_timeout": "auto",
    "rollout.on_timeout": "pause",
    "rollout.rollback_step": "immediate",
    "rollout.max_duration": "24h",
    "rollout.max_failed": "none",
    "rollout.dry_run": "false",
    "rollout.hooks": "[]",
    "rollout.notify": "{url: 'http://n/y'}",
}

OTHER: dict[str, str] = {
    "hosts": "[a.test, c.test]",
    "paths": "[/, /x]",
    "stable": "{url: 'http://127.0.0.1:1', keep_alive: 9s}",
    "canary": "{url: 'http://127.0.0.1:2', response_timeout: 9s}",
    "weight": "30",
    "rules": "[{name: r, headers: {x: '1'}, to: canary}]",
    "affinity": "cookie",
    "mirror": "{percent: 10}",
    "shield": "true",
    "fallback": "both",
    "goals": "[{name: buy, path: /buy}]",
    "upgrades": "none",
    "headers": "{add_version: true}",
    "analysis": "{min_requests: 200}",
    "rollout.steps": "[10, 25, 60, 80, 100]",
    "rollout.every": "20s",
    "rollout.bake": "40s",
    "rollout.start": "auto",
    "rollout.prove_above": "100%",
    "rollout.step_timeout": "2h",
    "rollout.on_timeout": "abort",
    "rollout.rollback_step": "10s",
    "rollout.max_duration": "8h",
    "rollout.max_failed": "1000",
    "rollout.dry_run": "true",
    "rollout.hooks": "[{name: h, when: end, url: 'http://h/x'}]",
    "rollout.notify": "{url: 'http://n/x'}",
}

PHASES = ["idle", "progressing", "paused", "baking", "succeeded", "rolled_back", "latched"]


def text(**changes: str) -> str:
    said = {**BASE, **changes}
    inner = ", ".join(f"{key.removeprefix('rollout.')}: {value}" for key, value in said.items() if "." in key)
    outer = "\n".join(f"    {key}: {value}" for key, value in said.items() if "." not in key)
    return (
        f"routes:\n  shop:\n{outer}\n    rollout: {{{inner}}}\n"
        "  blog: {hosts: [b.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}\n"
    )


def saying(bench: Bench, **changes: str) -> None:
    bench.text = lambda _: text(**changes)


async def in_phase(phase: str) -> Bench:
    bench = Bench()
    saying(bench)
    await bench.reconfiguration.start()
    await bench.reload()
    do = bench.rollouts.do
    if phase == "latched":
        latched = replace(bench.shop, latched="the stored state was damaged")
        bench.ledger.put("shop", latched, JO, "state", "", 1)
    if phase not in ("idle", "latched"):
        await do("shop", "start", JO)
    if phase in ("baking", "succeeded"):
        await do("shop", "promote", JO, full=True)
    verb: Any = {"paused": "pause", "succeeded": "promote", "rolled_back": "abort"}.get(phase)
    if verb:
        await do("shop", verb, JO)
    assert bench.shop.rollout.phase == ("idle" if phase == "latched" else phase)
    return bench


def test_every_key_of_a_route_has_a_row() -> None:
    keys = {*RouteConfig.model_fields, *(f"rollout.{name}" for name in RolloutConfig.model_fields)} - {"rollout"}
    assert EFFECTS.keys() == OTHER.keys() == BASE.keys() == keys
    page = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text("utf-8")
    assert [key for key in keys if f"`{key}`" not in page.partition("## Edits")[2].partition("\n## ")[0]] == []


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("key", OTHER)
async def test_an_edit_is_in_log_event_and_history_in_every_phase(
    key: str, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await in_phase(phase)
    revision = bench.ledger.revision("shop")
    rollout, weight = bench.shop.rollout, bench.shop.weight
    queue = bench.events.subscribe()
    assert queue is not None
    caplog.clear()
    caplog.set_level(logging.INFO)
    saying(bench, **{key: OTHER[key]})
    await bench.reload()
    sentences = []
    while not queue.empty():
        event = queue.get_nowait()
        assert event is not None
        if not event.route:
            continue
        sentences.append(event.detail["sentence"])
        assert event.route == "shop"
    assert sentences
    assert all(f"shop: {one}" in caplog.text for one in sentences)
    book = [audit.detail for audit in await bench.ledger.history("shop", 5)]
    assert all(any(str(one) in detail for detail in book) for one in sentences)
    assert bench.ledger.revision("shop") > revision
    assert (bench.shop.rollout.phase, bench.shop.rollout.step) == (rollout.phase, rollout.step)
    if key != "weight":
        assert bench.shop.weight == weight
    caplog.clear()
    await bench.reload()
    assert caplog.text == ""


@pytest.mark.parametrize("phase", PHASES)
async def test_a_weight_of_the_file_applies_waits_and_is_not_forgotten(phase: str) -> None:
    bench = await in_phase(phase)
    saying(bench, weight="30")
    await bench.reload()
    if phase in ("idle", "succeeded"):
        assert (bench.shop.weight, bench.shop.weight_source, bench.shop.waiting) == (3000, "file", None)
        return
    assert (bench.shop.waiting, bench.shop.weight) == (3000, bench.shop.rollout.weight)
    assert "the file's weight of 30 % waits" in (await bench.ledger.history("shop", 1))[0].detail
    assert config_edits.waits(bench.shop).startswith("the file's weight of 30 % waits for ")
    if phase not in ("rolled_back", "latched"):
        await bench.rollouts.do("shop", "abort", JO)
    done = await bench.rollouts.do("shop", "reset", JO)
    assert done.notice[-1].words == "reset by jo; the file's weight of 30 %, which waited, now applies"
    assert (bench.shop.weight, bench.shop.weight_source, bench.shop.waiting) == (3000, "file", None)
    assert bench.tables.table.routes[0].weight == 3000


async def test_a_weight_that_waited_through_a_success_takes_nothing_from_the_canary_until_the_reset() -> None:
    bench = await in_phase("baking")
    saying(bench, weight="30")
    await bench.reload()
    await bench.rollouts.do("shop", "promote", JO)
    saying(bench, weight="30", shield="true")
    await bench.reload()
    assert (bench.shop.rollout.phase, bench.shop.weight, bench.shop.waiting) == ("succeeded", 10_000, 3000)
    await bench.rollouts.do("shop", "reset", JO)
    assert bench.shop.weight == 3000


async def test_a_weight_that_is_taken_back_waits_no_more_and_one_of_the_api_ends_the_waiting() -> None:
    bench = await in_phase("progressing")
    saying(bench, weight="30")
    await bench.reload()
    saying(bench)
    await bench.reload()
    assert bench.shop.waiting is None
    assert "none waits" in (await bench.ledger.history("shop", 1))[0].detail
    bench = await in_phase("latched")
    saying(bench, weight="30")
    await bench.reload()
    await bench.controller.set_weight("shop", 100, JO)
    await bench.reload()
    assert (bench.shop.weight, bench.shop.waiting) == (100, None)


async def test_steps_ahead_follow_the_file_and_what_lies_behind_stays() -> None:
    bench = await in_phase("progressing")
    await bench.rollouts.do("shop", "promote", JO)
    saying(bench, **{"rollout.steps": "[1, 2, {weight: 50, for: 30s}, 75, 100]", "rollout.every": "15s"})
    await bench.reload()
    expected = (Step(2500, 10.0), Step(5000, 30.0), Step(7500, 15.0), Step(10_000, 15.0))
    assert (bench.shop.rollout.steps, bench.shop.rollout.step, bench.shop.weight) == (expected, 1, 5000)
    said = (await bench.ledger.history("shop", 1))[0].detail
    assert said == "the plan of the config changed: step 2 of 4 stays at 50 %, then 75 %, 100 %"
    saying(bench, **{"rollout.steps": "[60, 100]", "rollout.prove_above": "100%"})
    await bench.reload()
    assert [step.weight for step in bench.shop.rollout.steps] == [2500, 5000, 6000, 10_000]
    assert bench.shop.weight == 5000


async def test_a_timeout_and_a_time_of_the_step_under_way_apply_to_it() -> None:
    bench = await in_phase("progressing")
    since = bench.shop.rollout.step_since
    saying(bench, **{"rollout.step_timeout": "2h"})
    await bench.reload()
    assert bench.shop.rollout.timeout_at == since + 7200
    saying(bench, **{"rollout.every": "1h", "rollout.step_timeout": "1m"})
    await bench.reload()
    assert bench.shop.rollout.timeout_at == since + 3600
    saying(bench)
    await bench.reload()
    assert bench.shop.rollout.timeout_at == 0.0


async def test_the_rules_of_the_step_under_way_follow_it_wherever_the_file_has_it() -> None:
    bench = await in_phase("progressing")
    rule = "rules: [{name: staff, headers: {x: '1'}, to: canary}]"
    saying(bench, **{"rollout.steps": f"[1, 2, {{weight: 25, {rule}}}, 100]"})
    await bench.reload()
    assert [one.name for one in bench.tables.table.routes[0].rules] == ["staff"]
    staff = parse(text(rules=f"[{rule[8:-2]}}}]"), "f", {}).routes["shop"].rules
    with pytest.raises(IllegalTransitionError, match="a rollout step has a rule staff"):
        await bench.controller.set_rules("shop", lambda _: staff, JO)
    saying(bench)
    await bench.reload()
    await bench.controller.set_rules("shop", lambda _: staff, JO)
    saying(bench, **{"rollout.steps": f"[{{weight: 25, {rule}}}, 100]"})
    await bench.reload()
    assert [one.name for one in bench.tables.table.routes[0].rules] == ["staff"]


async def test_analysis_off_in_the_middle_is_a_warning_and_on_again_starts_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = await in_phase("progressing")
    saying(bench, analysis="off")
    await bench.reload()
    assert "the canary is not judged any more, its steps go by the clock" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING
    for _ in range(11):
        await bench.second()
    assert bench.shop.rollout.step == 1
    saying(bench)
    await bench.reload()
    assert "the canary is judged" in (await bench.ledger.history("shop", 1))[0].detail


async def test_another_stable_has_an_event_and_evidence_starts_over() -> None:
    bench = await in_phase("progressing")
    for _ in range(5):
        await bench.second()
    assert bench.judges.analysis("shop", bench.now).exposed.requests > 0
    saying(bench, stable="{url: 'http://127.0.0.1:7'}")
    await bench.reload()
    assert bench.judges.analysis("shop", bench.now).exposed.requests == 0
    assert "the evidence about the canary starts over" in (await bench.ledger.history("shop", 1))[0].detail
    assert bench.shop.rollout.step == 0


@pytest.mark.parametrize("phase", ["idle", "progressing", "rolled_back"])
async def test_a_route_that_leaves_or_is_renamed_has_an_event_and_its_name_begins_with_nothing(
    phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await in_phase(phase)
    queue = bench.events.subscribe()
    assert queue is not None
    caplog.set_level(logging.INFO)
    bench.text = lambda _: text().replace("  shop:", "  store:")
    left = bench.shop.rollout.identity.id
    await bench.reload()
    seen, about = {}, {}
    while not queue.empty():
        event = queue.get_nowait()
        assert event is not None
        if not event.route:
            continue
        seen[event.route], about[event.route] = str(event.detail["sentence"]), event.detail["rollout_id"]
    assert seen["shop"].startswith("route removed from the config")
    assert about == {"shop": None if phase == "idle" else left, "store": None}
    assert seen["store"] == "new route, weight 0"
    assert (await bench.ledger.history("shop", 1))[0].detail == seen["shop"]
    if phase == "progressing":
        assert "progressing, step 1 of 3, 25 % to the canary" in seen["shop"]
    assert bench.ledger.state["store"].rollout.phase == "idle"


class Restarted:
    """Processes one after another on the same state."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"

    async def start(self, **changes: str) -> Bench:
        bench = Bench()
        bench.ledger._store = SqliteStore(self.path)
        bench.topology.file = bench.topology.config = parse(text(**changes), "f", {})
        bench.judges.configure(bench.topology.config, bench.now)
        saying(bench, **changes)
        bench.rollouts.reloaded(await bench.reconfiguration.start())
        await asyncio.gather(*bench.rollouts._urgent)
        return bench

    async def end(self, bench: Bench) -> None:
        await bench.controller.keep()
        await bench.close()


async def test_a_file_that_was_edited_while_there_was_no_process_is_followed_like_a_reload(tmp_path: Path) -> None:
    life = Restarted(tmp_path)
    bench = await life.start()
    await bench.rollouts.do("shop", "start", JO)
    await bench.rollouts.do("shop", "promote", JO)
    await life.end(bench)
    edit = {"rollout.steps": "[25, 50, 70, 100]", "weight": "30", "analysis": "off", "rollout.prove_above": "100%"}
    bench = await life.start(**edit)
    assert [step.weight for step in bench.shop.rollout.steps] == [2500, 5000, 7000, 10_000]
    assert (bench.shop.rollout.step, bench.shop.weight, bench.shop.waiting) == (1, 5000, 3000)
    book = " / ".join(one.detail for one in await bench.ledger.history("shop", 2))
    assert "the plan of the config changed: step 2 of 4 stays at 50 %" in book
    assert "the file's weight of 30 % waits" in book
    assert "not judged any more" in book
    entries = len(await bench.ledger.history("shop", 10))
    await life.end(bench)
    bench = await life.start(**edit)
    assert len(await bench.ledger.history("shop", 10)) == entries
    await life.end(bench)
    bench = await life.start(canary="{url: 'http://127.0.0.1:9'}")
    assert (bench.shop.rollout.step, bench.weight("shop"), bench.shop.rollout.phase) == (0, 2500, "progressing")
    assert bench.tables.table.routes[0].weight == 2500
    await life.end(bench)


async def test_another_canary_while_there_was_no_process_starts_a_rollout_where_that_is_wanted(tmp_path: Path) -> None:
    life = Restarted(tmp_path)
    auto = {"rollout.start": "auto"}
    bench = await life.start(**auto)
    assert bench.shop.rollout.phase == "idle"
    await life.end(bench)
    bench = await life.start(**auto, canary="{url: 'http://127.0.0.1:9'}")
    assert (bench.shop.rollout.phase, bench.shop.rollout.step) == ("progressing", 0)
    await bench.rollouts.do("shop", "abort", JO)
    await life.end(bench)
    bench = await life.start(**auto, weight="30", canary="{url: 'http://127.0.0.1:8'}")
    assert (bench.shop.off, bench.shop.waiting, bench.tables.table.routes[0].aborted) == (True, 3000, True)
    await life.end(bench)


async def test_a_state_that_knows_nothing_of_the_file_it_followed_changes_nothing(tmp_path: Path) -> None:
    life = Restarted(tmp_path)
    bench = await life.start()
    await bench.rollouts.do("shop", "start", JO)
    old = replace(bench.shop, heard={})
    bench.ledger.put("shop", old, JO, "state", "", 1)
    await life.end(bench)
    bench = await life.start(canary="{url: 'http://127.0.0.1:9'}")
    assert bench.shop.rollout.step == 0
    assert bench.shop.heard == heard_of(bench.topology.config.routes["shop"])
    await life.end(bench)


def test_what_was_never_heard_is_no_edit() -> None:
    assert differing({}, {"a": "1"}) == frozenset()
    assert differing({"a": "1", "b": "2"}, {"a": "2", "b": "2"}) == {"a"}
    config = parse(text(), "f", {})
    assert compare(config, config)["shop"].keys == ()
    assert set(PLAN) <= EFFECTS.keys()


async def test_a_promote_that_waits_for_its_turn_while_the_plan_is_edited_goes_by_the_edited_one() -> None:
    bench = await in_phase("progressing")
    saying(bench, **{"rollout.steps": "[25, 100]"})
    async with bench.ledger.writing:
        promote = asyncio.create_task(bench.rollouts.do("shop", "promote", JO, full=True))
        await asyncio.sleep(0)
        await bench.reconfiguration._adopt(bench.reconfiguration._load())  # type: ignore[misc]
    await promote
    rollout = bench.shop.rollout
    assert [one.weight for one in rollout.steps] == [2500, 10_000]
    assert (rollout.step, rollout.weight, rollout.phase) == (1, 10_000, "baking")
    assert bench.observations.estimate("shop") >= 0
