"""A route's state outlives the process as it was, whichever version reads it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.canary_document import NO_CANARY, canary_set
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control.state import RouteState
from canaryproxy.model.document import TooNewError
from canaryproxy.rollout.state import Rollout
from canaryproxy.storage.codec import KNOWN, V, read_state, write_state
from tests.rollout.test_codec import LATER as LATER_ROLLOUT
from tests.rollout.test_codec import ROLLOUTS

WRITTEN: list[dict[str, Any]] = [
    {
        "name": "t",
        "headers": {"x-a": {"in": ["1", "2"]}},
        "cookies": {"b": {"present": True}},
        "percent": 12.5,
        "path": {"prefix": "/a"},
        "sources": ["10.0.0.0/8"],
        "methods": ["GET"],
        "query": {"q": "1"},
        "to": "canary",
        "preview": True,
        "analyse": True,
    },
]
RULES = RuleSet(rules_from_written(WRITTEN))
LATER = LATER_ROLLOUT.map(lambda later: {name: one for name, one in later.items() if name not in KNOWN})
STATES = st.builds(
    RouteState,
    st.integers(0, 10_000),
    st.sampled_from(["file", "api", "rollout"]),
    st.integers(0, 10_000),
    st.text(),
    st.sampled_from([None, RULES, RuleSet(())]),
    st.text(),
    ROLLOUTS,
    LATER,
    waiting=st.none() | st.integers(0, 10_000),
    heard=st.dictionaries(st.text(), st.text(), max_size=4),
    canary=st.sampled_from(
        [None, NO_CANARY, canary_set("http://b"), canary_set({"url": "https://b", "health": {"path": "/"}})]
    ),
    file_canary=st.none() | st.sampled_from(["", "abc"]),
)
STATE = RouteState(1250, "api", 500, "abc", RULES, "", Rollout())


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(write_state(STATE)), **fields})


@given(STATES)
def test_what_is_written_is_read_as_it_was(state: RouteState) -> None:
    assert read_state(write_state(state)) == state


@given(LATER)
def test_what_a_later_version_has_added_is_kept_through_a_change(later: dict[str, Any]) -> None:
    again = json.loads(write_state(replace(read_state(changed(**later)), weight=1)))
    assert {name: again[name] for name in later} == later


def test_what_a_later_version_has_heard_of_the_file_is_kept_whatever_it_is() -> None:
    later = {"canary": "http://b", "schedule": {"nights": [1, 2]}}
    assert json.loads(write_state(read_state(changed(heard=later))))["heard"] == later


def test_the_form_without_a_version_is_read() -> None:
    old = json.loads(write_state(STATE))
    del old["v"]
    del old["rollout"]["v"]
    assert read_state(json.dumps(old)) == STATE


@pytest.mark.parametrize("name", ["rules", "rollout", "v", "canary", "file_canary"])
def test_a_field_that_an_older_version_did_not_have_gets_its_default(name: str) -> None:
    plain = json.loads(write_state(RouteState(0, "file", 0, "")))
    assert read_state(json.dumps({key: one for key, one in plain.items() if key != name})) == RouteState(
        0, "file", 0, ""
    )


@pytest.mark.parametrize(
    "later",
    [
        {"v": V + 1},
        {"v": V + 1, "weight": "none"},
        {"rollout": {"v": 99}},
        {"rules": [{**WRITTEN[0], "weekday": "monday"}]},
        {"rules": [{"name": "a", "path": {"glob": "*"}, "to": "canary"}]},
        {"rules": [{"name": "a", "headers": {"x-a": {"suffix": "b"}}, "to": "canary"}]},
        {"canary": '{"url": "http://b", "shape": "round"}'},
        {"canary": '{"url": "http://b", "health": {"depth": 2}}'},
    ],
)
def test_what_must_not_be_acted_on_by_this_version_is_too_new(later: dict[str, object]) -> None:
    with pytest.raises(TooNewError):
        read_state(changed(**later))


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 20_000},
        {"weight": True},
        {"weight": "5"},
        {"file_weight": -1},
        {"weight_source": "x"},
        {"weight_source": []},
        {"file_rules": None},
        {"latched": False},
        {"rules": "none"},
        {"rules": [{"name": "a"}]},
        {"rules": [3]},
        {"heard": {"plan": 3}},
        {"heard": []},
        {"canary": 3},
        {"rollout": []},
        {"rollout": {}},
        {"v": None},
        {"v": 0.5},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_state(changed(**wrong))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_state(text)
