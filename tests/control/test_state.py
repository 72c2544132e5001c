"""File and API: per key the later change wins, whatever the order of restarts and reloads."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config import Config, parse
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control.fingerprint import Fingerprint, fingerprints
from canaryproxy.control.state import RouteState, latch, reconcile, share, with_weight
from canaryproxy.rollout.plan import Step
from canaryproxy.rollout.state import Rollout


def config(weight: str = "5", rules: str = "[]") -> Config:
    return parse(f"stable: http://a\ncanary: http://b\nweight: {weight}\nrules: {rules}\n", "f", {})


def heard(state: dict[str, RouteState], said: Config) -> dict[str, RouteState]:
    return reconcile(state, said, fingerprints(said))


def test_the_file_speaks_first() -> None:
    state = heard({}, config("5"))["default"]
    assert (state.weight, state.weight_source, state.rules, state.rules_source) == (500, "file", None, "file")


def test_a_weight_of_the_api_outlives_a_file_that_says_the_same_as_before() -> None:
    state = {"default": with_weight(heard({}, config("5"))["default"], 1250, 500)}
    state = heard(state, config("5"))
    assert (state["default"].weight, state["default"].weight_source) == (1250, "api")
    state = heard(state, config("6"))
    assert (state["default"].weight, state["default"].weight_source) == (600, "file")


def test_rules_of_the_api_hold_until_those_of_the_file_change() -> None:
    rules = RuleSet(rules_from_written([{"name": "a", "to": "canary"}]))
    state = {"default": replace(heard({}, config())["default"], rules=rules)}
    assert heard(state, config("7"))["default"].rules is rules
    assert heard(state, config("5", "[{name: b, to: stable}]"))["default"].rules is None


def test_a_latch_keeps_the_canary_off_until_an_operator_sets_a_weight() -> None:
    state = latch(config("50"), {"default": Fingerprint("", "")}, "damaged")
    assert (state["default"].weight, state["default"].latched) == (0, "damaged")
    after = heard(state, config("60"))
    assert (after["default"].weight, after["default"].latched) == (0, "damaged")
    decided = {"default": with_weight(after["default"], 100, 6000)}
    assert decided["default"].latched == ""
    assert heard(decided, config("60"))["default"].weight == 100


def test_a_route_that_leaves_the_file_is_forgotten() -> None:
    assert heard({"gone": RouteState(1, "api", 0, "")}, config()).keys() == {"default"}


@given(st.lists(st.tuples(st.sampled_from(["api", "file", "restart"]), st.integers(0, 100)), max_size=12))
def test_the_later_change_always_wins(steps: list[tuple[str, int]]) -> None:
    written, expected = 5, 5
    state = heard({}, config(str(written)))
    for kind, value in steps:
        if kind == "api":
            state = {"default": with_weight(state["default"], value * 100, written * 100)}
            expected = value
        elif kind == "file":
            expected = value if value != written else expected
            written = value
            state = heard(state, config(str(written)))
        else:
            state = heard(dict(state), config(str(written)))
        assert state["default"].weight == expected * 100


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RouteState(500, "file", 500, ""), "5 %"),
        (RouteState(1250, "api", 500, ""), "12.5 % (by the API)"),
        (RouteState(0, "rollout", 0, ""), "0 % (by the rollout)"),
        (
            RouteState(0, "file", 500, "", latched="the stored state was damaged"),
            "0 % (off: the stored state was damaged)",
        ),
        (
            RouteState(5000, "rollout", 0, "", rollout=Rollout("paused", "manual", "", (Step(5000, 1.0),), 0, 5000)),
            "50 % (rollout: paused, manual, step 1 of 1)",
        ),
        (
            RouteState(0, "rollout", 0, "", rollout=Rollout("rolled_back", "verdict")),
            "0 % (rollout: rolled back, verdict)",
        ),
    ],
)
def test_what_a_canary_gets_is_said_with_its_reason(state: RouteState, words: str) -> None:
    assert share(state) == words
