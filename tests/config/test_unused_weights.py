"""What would send requests to a canary that there is not, is an error with its line; what waits for one is not."""

import pytest

from canaryproxy.config import Config, ConfigError, parse

STABLE = "stable: http://a\n"


def wrong(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(ConfigError) as error:
        parse(text, "f.yaml", {})
    return [(problem.line, problem.path) for problem in error.value.problems]


@pytest.mark.parametrize("canary", ["", "canary: none\n", "canary: off\n", "canary: false\n", "canary: null\n"])
def test_a_route_without_a_canary_is_a_plain_one(canary: str) -> None:
    route = parse(STABLE + canary, "f", {}).routes["default"]
    assert (route.canary, len(route.sides), route.weight) == (None, 1, 0)


@pytest.mark.parametrize("canary", ['canary: ""\n', "canary: {}\n", "canary: []\n", "canary: 5\n", "canary: true\n"])
def test_what_is_neither_a_canary_nor_none_is_an_error(canary: str) -> None:
    assert wrong(STABLE + canary)[0][0] == 2


def test_one_may_come_from_the_environment() -> None:
    text = STABLE + "canary: ${CANARY:-none}\n"
    assert parse(text, "f", {}).routes["default"].canary is None
    assert parse(text, "f", {"CANARY": "http://b"}).routes["default"].canary is not None


@pytest.mark.parametrize("weight", ["5", "0.01", "100", '"0.25%"'])
def test_a_weight_needs_a_canary(weight: str) -> None:
    assert wrong(f"{STABLE}weight: {weight}\n") == [(2, "weight")]


@pytest.mark.parametrize("weight", ["0", "0.0", '"0%"'])
def test_no_weight_needs_none(weight: str) -> None:
    assert parse(f"{STABLE}weight: {weight}\n", "f", {}).routes["default"].weight == 0


@pytest.mark.parametrize(
    ("rule", "stray"),
    [
        ("{name: a, to: canary}", True),
        ("{name: a, to: canary, percent: 0}", True),
        ("{name: a, to: stable, percent: 50}", True),
        ("{name: a, to: stable, percent: 99.99}", True),
        ("{name: a, to: stable, percent: '100%'}", False),
        ("{name: a, to: stable}", False),
    ],
)
def test_a_rule_that_reaches_the_canary_needs_one(rule: str, stray: bool) -> None:
    text = f"{STABLE}rules:\n  - {rule}\n"
    if stray:
        assert wrong(text) == [(3, "rules[0]")]
    else:
        assert parse(text, "f", {}).routes["default"].rules
    assert parse(f"{text}canary: http://b\n", "f", {}).routes["default"].rules


def test_what_is_wrong_in_itself_is_reported_once() -> None:
    assert wrong(f"{STABLE}weight: 500\n") == [(2, "weight")]
    assert wrong(f"{STABLE}rules: [{{name: a, to: stable, percent: x}}]\n") == [(2, "rules[0].percent")]
    assert wrong(f"{STABLE}rules: [5]\n") == [(2, "rules[0]")]
    assert wrong(f"{STABLE}rules: 5\n") == [(2, "rules")]


def test_a_misspelt_canary_is_one_problem() -> None:
    assert wrong(f"{STABLE}canery: http://b\nweight: 5\nrules: [{{name: a, to: canary}}]\n") == [(2, "canery")]


@pytest.mark.parametrize(
    "waiting",
    [
        "affinity: cookie",
        "goals: [{name: g, path: /g}]",
        "shield: true",
        "analysis: {warmup: 5s}",
        "analysis: off",
        "rollout: {steps: [5, 100]}",
        "fallback: false",
        "headers: {add_version: true}",
        "rollout: {steps: [{weight: 5, rules: [{name: t, to: canary}]}, 100]}",
    ],
)
def test_what_says_how_a_canary_is_treated_waits_for_one(waiting: str) -> None:
    assert parse(f"{STABLE}{waiting}\n", "f", {}).warnings == ()


def warned(text: str) -> Config:
    return parse(STABLE + text, "f", {})


def test_what_does_nothing_until_there_is_a_canary_is_worth_a_warning() -> None:
    assert warned("mirror: {percent: 10}\n").warnings == (
        "routes.default.mirror: no copies are made, since the route has no canary",
    )
    assert warned("fallback: both\n").warnings == (
        "routes.default.fallback: `both` has no effect on stable, since the route has no canary",
    )
    assert warned("mirror: {percent: 10}\ncanary: http://b\n").warnings == ()
