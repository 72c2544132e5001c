"""A rollout outlives the process as it was."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.rollout.kept import PHASES, read, written
from canaryproxy.rollout.plan import Step
from canaryproxy.rollout.state import Rollout

STEPS = (Step(100, 60.0), Step(5000, 1.5, hold=True), Step(10_000, 60.0))

ROLLOUTS = st.builds(
    Rollout, st.sampled_from(PHASES), st.text(), st.text(), st.just(STEPS), st.integers(0, 2), st.integers(0, 10_000),
    st.floats(0, 1e10), st.floats(0, 1e10), st.floats(0, 1e10), st.floats(0, 1e10), st.booleans(),
    st.sampled_from(PHASES), st.integers(0, 5), st.booleans(),
)  # fmt: skip


@given(ROLLOUTS)
def test_what_is_written_is_read_as_it_was(rollout: Rollout) -> None:
    assert read(json.loads(json.dumps(written(rollout)))) == rollout


def test_one_that_never_began_too() -> None:
    assert read(written(Rollout())) == Rollout()


@pytest.mark.parametrize(
    "wrong",
    [
        {"phase": "flying"}, {"weight": 10_001}, {"weight": True}, {"step": 3}, {"step": None}, {"since": "now"},
        {"since": float("nan")}, {"why": 7}, {"released": 1}, {"controls": "one"}, {"steps": [[1, 2]]},
        {"steps": [[0, "x", False]]}, {"before": ""},
    ],
)  # fmt: skip
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    whole = written(replace(Rollout("progressing", step=0), steps=STEPS))
    with pytest.raises((ValueError, TypeError)):
        read({**whole, **wrong})
    with pytest.raises(KeyError):
        read({key: value for key, value in whole.items() if key != "phase"})
