"""States that older versions left on the disk are taken up: no step, no abort and no evidence is lost.

How they were made, and what each version said of its own when it started on them: `tests/data/state/make.py`. A folder
is named for the commit; further ones are found by themselves.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.control.route_states import Actor
from canaryproxy.rollout.state import Rollout, Verb
from tests.data.state.make import LATER, NAMED, SCENARIOS, restored
from tests.support.golden import AWAY, Started, alike, observed

STATES = Path(__file__).parents[1] / "data" / "state"
ALL = sorted(str(path.relative_to(STATES).with_suffix("")) for path in STATES.glob("*/*.sql"))
FIRST, LAST = "64e2905", "d8fb47b"
NAMES = sorted(path.stem for path in (STATES / FIRST).glob("*.sql"))
WHOLE = [name for name in ALL if name.startswith((FIRST, LAST)) and name.partition("/")[2] in NAMES]
"""The same scenarios, as both versions left them."""

UNDER_WAY = ("progressing", "paused", "baking")


OPERATOR = Actor("jo", "write")


def expected(name: str) -> dict[str, Any]:
    path = STATES / f"{name if '/' in name else f'{FIRST}/{name}'}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def routes(name: str) -> str:
    return (STATES / f"{name}.yaml").read_text()


def without_words(said: dict[str, Any]) -> dict[str, Any]:
    """What was said of a state, without sentences, which every version may word as it likes."""
    analysis = said["analysis"]
    checks = [
        {key: value for key, value in check.items() if key not in ("sentence", "missing")}
        for check in analysis["checks"]
    ]
    kept = {key: value for key, value in analysis.items() if key not in ("reason", "checks")}
    return {**said, "analysis": {**kept, "checks": {check["name"]: check for check in checks}}}


def is_part(old: Any, new: Any, where: str = "") -> None:
    """Everything that the old version said is said by the new one, to the last bit; it may say more."""
    if isinstance(old, dict):
        for key, value in old.items():
            assert key in new, f"{where}.{key} is gone"
            is_part(value, new[key], f"{where}.{key}")
    elif isinstance(old, list):
        assert len(old) == len(new), f"{where}: {old} != {new}"
        for number, pair in enumerate(zip(old, new, strict=True)):
            is_part(*pair, f"{where}[{number}]")
    else:
        assert alike(old, new), f"{where}: {old!r} != {new!r}"


GOING = [name for name in WHOLE if expected(name)["routes"]["shop"]["phase"] in UNDER_WAY]
"""Those whose rollout was under way when the process was killed."""


def test_every_scenario_was_written_down() -> None:
    assert sorted(SCENARIOS) == NAMES
    later = {name.partition("/")[2] for name in ALL if not name.startswith(FIRST)}
    assert set(NAMED) <= later
    assert {name.partition("/")[2] for name in ALL if name.startswith(LAST)} == {*SCENARIOS, *NAMED, *LATER}


def test_the_later_ones_hold_names_records_and_canaries_of_the_api() -> None:
    shops = {name.partition("/")[2]: expected(name)["routes"]["shop"] for name in ALL if not name.startswith(FIRST)}
    assert (shops["api-canary"]["phase"], shops["api-canary"]["identity"]["given"]) == ("paused", "v1")
    assert '"version": "c1"' in shops["api-canary"]["canary"]
    assert shops["api-canary"]["analysis"]["exposed"]["requests"] > 10
    assert [(one["given"], one["result"]) for one in shops["superseded"]["past"]] == [
        ("v1", "rolled_back"),
        ("v2", "superseded"),
    ]
    assert shops["superseded"]["identity"]["given"] == "v3"
    assert (shops["api-removed"]["canary"], shops["api-removed"]["phase"]) == ("", "rolled_back")
    assert shops["api-removed"]["heard"]["removed"]
    assert (shops["file-removed-by-api"]["canary"], shops["file-removed-by-api"]["phase"]) == ("", "idle")


@pytest.mark.parametrize("name", ALL)
def test_a_golden_state_is_taken_for_what_it_was(name: str, tmp_path: Path) -> None:
    wanted = expected(name)
    found = observed(restored(STATES / f"{name}.sql", tmp_path / "state.db"), routes(name), wanted["wall"])
    assert found["routes"].keys() == wanted["routes"].keys()
    for route, one in wanted["routes"].items():
        is_part(without_words(one), without_words(found["routes"][route]), f"{name}.{route}")
    assert not list(tmp_path.glob("*.damaged-*"))


@pytest.mark.parametrize("name", ALL)
def test_it_is_still_that_once_this_version_has_written_it(name: str, tmp_path: Path) -> None:
    path, wanted = restored(STATES / f"{name}.sql", tmp_path / "state.db"), expected(name)

    async def write() -> None:
        started = Started(path, routes(name), wanted["wall"])
        await started.start()
        await started.rollouts.store_evidence()
        await started.ledger.remember(await started.ledger.learnt(), set(started.ledger.state))
        state = started.ledger.state
        started.store._saved = {}
        started.store.save(state)
        await started.end()

    before = observed(path, routes(name), wanted["wall"])
    asyncio.run(write())
    again = observed(path, routes(name), wanted["wall"])
    for route, one in before["routes"].items():
        is_part(without_words(one), without_words(again["routes"][route]), f"{name}.{route}")


async def asked(name: str, path: Path, verb: Verb) -> Rollout:
    """The rollout after an operator's request, on the disk and taken up again."""
    started = Started(path, routes(name), expected(name)["wall"])
    await started.start()
    await started.rollouts.do("shop", verb, OPERATOR)
    await started.rollouts.store_evidence()
    await started.end()
    again = Started(path, routes(name), expected(name)["wall"])
    await again.start()
    await again.end()
    return again.ledger.state["shop"].rollout


@pytest.mark.parametrize("name", GOING)
async def test_a_rollout_that_was_under_way_goes_on_where_it_was(name: str, tmp_path: Path) -> None:
    was = expected(name)["routes"]["shop"]
    now = await asked(name, restored(STATES / f"{name}.sql", tmp_path / "state.db"), "promote")
    if was["phase"] == "baking":
        assert (now.phase, now.weight) == ("succeeded", 10_000)
    else:
        step = was["step"] + 1
        phase = "baking" if step == len(was["steps"]) - 1 else "progressing"
        assert (now.phase, now.step, now.weight) == (phase, step, was["steps"][step][0])
    assert (now.began, [[step.weight, step.dwell, step.hold] for step in now.steps]) == (was["began"], was["steps"])


@pytest.mark.parametrize("name", GOING)
async def test_a_rollout_that_was_under_way_is_aborted_for_good(name: str, tmp_path: Path) -> None:
    now = await asked(name, restored(STATES / f"{name}.sql", tmp_path / "state.db"), "abort")
    assert (now.phase, now.reason, now.weight, now.off) == ("rolled_back", "manual", 0, True)


@pytest.mark.parametrize("version", [FIRST, LAST])
def test_the_golden_states_hold_what_their_names_say(version: str) -> None:
    phases = {name: expected(f"{version}/{name}")["routes"]["shop"] for name in NAMES}
    assert {name: (one["phase"], one["reason"]) for name, one in phases.items()} == {
        "idle-file": ("idle", ""),
        "idle-api-weight": ("idle", ""),
        "idle-api-rules": ("idle", ""),
        "idle-aborted": ("rolled_back", "manual"),
        "latched": ("idle", ""),
        "progressing": ("progressing", ""),
        "progressing-users": ("progressing", ""),
        "progressing-endpoints": ("progressing", ""),
        "paused-manual": ("paused", "manual"),
        "paused-hold": ("paused", "step"),
        "paused-gate": ("paused", "gate"),
        "paused-timeout": ("paused", "timeout"),
        "baking": ("baking", ""),
        "baking-control": ("baking", "control"),
        "succeeded": ("succeeded", ""),
        "rolled-back": ("rolled_back", "verdict"),
        "aborted": ("rolled_back", "manual"),
        "ramp": ("rolled_back", "verdict"),
        "dry-run": ("progressing", ""),
        "failing-paused": ("paused", "manual"),
        "several": ("progressing", ""),
    }
    assert phases["latched"]["latched"]
    assert phases["latched"]["off"]
    assert phases["ramp"]["weight"] > 0
    assert phases["dry-run"]["warned"]
    assert phases["failing-paused"]["analysis"]["verdict"] == "fail"
    assert [rule["name"] for rule in phases["idle-api-rules"]["rules"]] == ["beta", "testers"]


@pytest.mark.parametrize("name", GOING)
def test_each_that_was_under_way_holds_evidence(name: str) -> None:
    shop = expected(name)["routes"]["shop"]
    assert shop["analysis"]["exposed"]["requests"] > 10
    assert shop["lost"] == pytest.approx(AWAY, abs=5)


@pytest.mark.parametrize("version", [FIRST, LAST])
def test_every_kind_of_check_has_evidence_in_one_of_them(version: str) -> None:
    found = expected(f"{version}/progressing")["routes"]["shop"]["analysis"]["checks"]
    checks = {check["name"]: check for check in found}
    assert {
        "errors",
        "latency",
        "refusals",
        "goal:cart",
        "goal:revenue",
        "resource:cpu",
        "check:quality",
        "errors:limits",
        "latency:limits",
        "limit:error_rate",
        "sample-ratio",
    } == checks.keys()
    assert all(check["canary"] is not None for check in checks.values())
    assert all(check["samples"]["canary"] for name, check in checks.items() if name != "check:quality")
    shops = [expected(f"{version}/{name}")["routes"]["shop"] for name in NAMES]
    assert {one["unit"] for shop in shops for one in shop["analysis"]["checks"]} > {
        "request",
        "user",
        "endpoint-second",
    }


def test_what_this_version_adds_is_there_too() -> None:
    shops = {name: expected(f"{LAST}/{name}")["routes"]["shop"] for name in LATER}
    rules = {rule["name"]: rule for rule in shops["idle-api-all-rules"]["rules"]}
    kinds = {"headers", "cookies", "query", "methods", "path", "sources", "percent", "preview", "analyse"}
    assert kinds <= set().union(*rules.values())
    assert json.loads(shops["api-canary-full"]["canary"])["health"]["version_header"] == "x-version"
    assert (shops["api-canary-full"]["weight"], shops["api-canary-full"]["source"]) == (25, "api")
    assert {one["unit"] for one in shops["users-everything"]["analysis"]["checks"]} >= {"user", "block", "value"}
    assert shops["mirrored"]["phase"] == "progressing"
    assert (shops["waiting"]["phase"], shops["waiting"]["waiting"]) == ("progressing", 900)
    assert [step[0] for step in shops["plan-edited"]["steps"]] == [2000, 5000, 6000, 8000, 10_000]
    assert (shops["other-canary"]["step"], shops["other-canary"]["heard"]["canary"][:16]) == (0, "http://localhost")
    assert (shops["retried"]["phase"], shops["retried"]["past"][0]["result"]) == ("progressing", "rolled_back")
    assert (shops["reset"]["phase"], shops["reset"]["past"][0]["result"]) == ("idle", "rolled_back")
    assert (shops["succeeded-weighed"]["phase"], shops["succeeded-weighed"]["weight"]) == ("succeeded", 8000)
    assert (shops["latched-decided"]["latched"], shops["latched-decided"]["weight"]) == ("", 350)
    limit = {check["name"]: check for check in shops["limit-passed"]["analysis"]["checks"]}["limit:error_rate"]
    assert limit["verdict"] == "fail"
