"""A rollout outlives the process as it was, whichever version reads it."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.document import TooNewError
from canaryproxy.rollout.codec import KNOWN, PHASES, RESULTS, V, dump, dump_record, load, load_record
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.plan import Step
from canaryproxy.rollout.record import Result, RolloutRecord
from canaryproxy.rollout.state import Phase, Rollout

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LATER = st.dictionaries(st.text(max_size=9).filter(lambda name: name not in KNOWN), JSON, max_size=3)
TIMES = st.floats(0, 1e10)
STEPS = st.lists(st.builds(Step, st.integers(0, 10_000), TIMES, st.booleans(), LATER), min_size=3, max_size=4)
STEP = (Step(100, 60.0), Step(5000, 1.5, hold=True), Step(10_000, 60.0))

ROLLOUTS = st.builds(
    Rollout,
    st.sampled_from(sorted(PHASES.values())),
    st.text(),
    st.text(),
    STEPS.map(tuple),
    st.integers(0, 2),
    st.integers(0, 10_000),
    TIMES,
    TIMES,
    TIMES,
    TIMES,
    st.booleans(),
    st.sampled_from(sorted(PHASES.values())),
    st.integers(0, 5),
    st.booleans(),
    LATER,
    st.builds(RolloutIdentity, st.text(), st.text(), st.text(), st.text()),
)


def stored(rollout: Rollout) -> dict[str, Any]:
    found = json.loads(json.dumps(dump(rollout)))
    assert isinstance(found, dict)
    return found


@given(ROLLOUTS)
def test_what_is_dumped_loads_as_it_was(rollout: Rollout) -> None:
    assert load(stored(rollout)) == rollout


def test_one_that_never_began_too() -> None:
    assert load(dump(Rollout())) == Rollout()


@given(ROLLOUTS, LATER)
def test_what_a_later_version_has_added_is_kept_through_a_change(rollout: Rollout, later: dict[str, Any]) -> None:
    found = load({**stored(replace(rollout, extra={})), **later})
    assert {name: stored(replace(found, weight=7))[name] for name in later} == later


def test_what_belonged_to_one_rollout_does_not_go_on_to_the_next() -> None:
    found = load({**dump(Rollout()), "colour": "of this one"})
    assert "colour" in dump(replace(found, phase="rolled_back"))
    assert "colour" not in dump(Rollout(phase="progressing"))


def test_a_rollout_that_an_older_version_began_gets_an_id_and_keeps_it() -> None:
    whole = stored(Rollout("progressing", steps=STEP, step=0, weight=100, began=1_764_295_213.7))
    del whole["id"]
    assert load(whole).identity.id == load(whole).identity.id == "20251128-020013-22222"
    assert load({**whole, "phase": "idle"}).identity.id == ""
    assert load({**whole, "began": 0.0, "since": 1_764_295_214.0}).identity.id == "20251128-020014-22222"


def test_an_identity_that_is_no_text_is_none() -> None:
    for name in ("id", "given", "announced", "stable"):
        with pytest.raises(TypeError, match="is no text"):
            load({**dump(Rollout()), name: 7})


@pytest.mark.parametrize("name", sorted(KNOWN - {"v", "id", "phase", "steps", "step", "weight"}))
def test_a_field_that_an_older_version_did_not_have_gets_its_default(name: str) -> None:
    whole = stored(Rollout("progressing", steps=STEP, step=0, weight=100, began=5.0, since=5.0, step_since=5.0))
    assert load({key: value for key, value in whole.items() if key != name}) == load(whole)


@pytest.mark.parametrize("name", ["phase", "steps", "step", "weight"])
def test_what_makes_it_a_rollout_has_no_default(name: str) -> None:
    with pytest.raises(KeyError):
        load({key: value for key, value in dump(Rollout()).items() if key != name})


def test_the_form_without_a_version_is_read() -> None:
    whole = stored(replace(Rollout("paused", step=1), steps=STEP))
    del whole["v"]
    assert load(whole) == replace(Rollout("paused", step=1), steps=STEP)


def test_a_step_may_say_less_or_more() -> None:
    whole = stored(replace(Rollout("progressing", step=0), steps=STEP))
    found = load({**whole, "steps": [[100, 60], [5000, 1, True, {"name": "half"}]]})
    assert found.steps == (Step(100, 60), Step(5000, 1, hold=True, extra={"name": "half"}))
    assert dump(found)["steps"] == [[100, 60, False], [5000, 1, True, {"name": "half"}]]


def test_every_phase_and_every_result_has_a_stored_name() -> None:
    assert sorted(PHASES.values()) == sorted(get_args(Phase))
    assert sorted(RESULTS.values()) == sorted(get_args(Result))


@pytest.mark.parametrize("reason", ["verdict", "", "one of a later version"])
def test_a_reason_is_kept_whether_it_is_known_or_not(reason: str) -> None:
    assert load(stored(Rollout(reason=reason))).reason == reason
    record = RolloutRecord(RolloutIdentity("a"), "superseded", reason)
    assert load_record(json.loads(json.dumps(dump_record(record)))) == record


@pytest.mark.parametrize("wrong", [{"result": "lost"}, {"result": []}, {"reason": 3}, {"id": None}])
def test_what_is_no_record_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_record({**dump_record(RolloutRecord(RolloutIdentity("a"), "superseded")), **wrong})


@pytest.mark.parametrize("later", [V + 1, 99])
def test_a_version_that_is_too_new_is_said_to_be_that(later: int) -> None:
    with pytest.raises(TooNewError, match=f"version {later}"):
        load({**dump(Rollout()), "v": later, "phase": "flying"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"phase": "flying"},
        {"weight": 10_001},
        {"weight": True},
        {"step": 3},
        {"step": None},
        {"since": "now"},
        {"since": float("nan")},
        {"why": 7},
        {"released": 1},
        {"controls": "one"},
        {"steps": [[1]]},
        {"steps": 3},
        {"steps": [[0, "x", False]]},
        {"steps": [[0, 1, False, {}, 1]]},
        {"before": ""},
        {"v": "1"},
        {"v": -1},
        {"v": True},
        {"step": 0.5},
        {"phase": []},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    whole = dump(replace(Rollout("progressing", step=0), steps=STEP))
    with pytest.raises((ValueError, TypeError)):
        load({**whole, **wrong})
