"""Entries that do not fit together: duplicate hosts and paths, overlapping listeners, weights without a canary."""

import pytest

from canaryproxy.config import Config, ConfigError, conflicts, parse
from canaryproxy.config.conflicts import find_conflicts
from canaryproxy.config.problems import Position, path_text
from canaryproxy.config.yaml.document import SourceValue, YamlTree


def found(tree: YamlTree) -> list[tuple[str, str]]:
    return [(path_text(fault.loc), fault.wrong.found or "") for fault in find_conflicts(tree, {}) if fault.wrong]


def routes(**claimed: YamlTree) -> YamlTree:
    return {"routes": dict(claimed)}


def test_different_hosts_or_paths_do_not_conflict() -> None:
    one: YamlTree = {"hosts": ["a.example", "*.a.example"], "paths": ["/", "/x"]}
    two: YamlTree = {"hosts": ["b.example"], "paths": ["/", "/x"]}
    three: YamlTree = {"hosts": ["a.example"], "paths": ["/y"]}
    four: YamlTree = {"paths": ["/"]}
    assert found(routes(one=one, two=two, three=three, four=four)) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({}, {}, [("routes.two", "duplicate path / on any host")]),
        ({}, {"paths": ["/"]}, [("routes.two.paths[0]", "duplicate path / on any host")]),
        ({"paths": ["/"]}, {}, [("routes.two", "duplicate path / on any host")]),
        (
            {"hosts": ["a.example", "b.example"]},
            {"hosts": ["c.example", "B.Example."]},
            [("routes.two", "duplicate path / on b.example")],
        ),
        (
            {"hosts": ["a.example"], "paths": ["/x", "/y"]},
            {"hosts": ["a.example"], "paths": ["/y/", "/x"]},
            [
                ("routes.two.paths[0]", "duplicate path /y on a.example"),
                ("routes.two.paths[1]", "duplicate path /x on a.example"),
            ],
        ),
    ],
)
def test_two_routes_cannot_claim_the_same_host_and_path(
    one: YamlTree, two: YamlTree, expected: list[tuple[str, str]]
) -> None:
    assert found(routes(one=one, two=two)) == expected


def test_a_route_cannot_list_the_same_thing_twice() -> None:
    assert found(routes(one={"paths": ["/x", "/x/"]})) == [("routes.one.paths[1]", "duplicate path /x on any host")]
    assert found(routes(one={"hosts": ["a", "A"], "paths": ["/x", "/y"]})) == [
        ("routes.one.hosts[1]", "duplicate path /x on a")
    ]


def test_both_lines_are_named() -> None:
    source_values = {
        ("routes", "one"): SourceValue(Position(2, 3)),
        ("routes", "one", "paths", 0): SourceValue(Position(4, 7), "/"),
    }
    tree = routes(one={"paths": ["/"]}, two={"paths": ["/"]})
    (fault,) = find_conflicts(tree, source_values)
    assert fault.wrong is not None
    assert fault.wrong.hint.endswith("routes.one at line 4 has it already")


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"routes": None},
        {"routes": []},
        {"routes": {"a": 1, "b": None}},
        {"server": 1},
        {"server": {"listen": 5}},
    ],
)
def test_what_is_wrong_in_itself_is_left_to_the_schema(tree: YamlTree) -> None:
    assert found(tree) == []


def test_entries_that_cannot_be_read_claim_nothing() -> None:
    assert found(routes(one={"hosts": ["a b"]}, two={"hosts": 5}, three={"paths": [None]}, four={})) == []


def test_the_number_of_claims_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "MAX_CONFLICTS", 3)
    tree = routes(one={"paths": ["/a", "/b"]}, two={"paths": ["/c", "/d"]})
    assert found(tree) == [("routes.two", "too many hosts and paths")]


def test_listeners_cannot_be_in_each_others_way() -> None:
    listen: YamlTree = [{"address": "127.0.0.1:80"}, {"address": "x"}, 5, {"address": ":81"}, {"address": ":80"}]
    assert found({"server": {"listen": listen}}) == [("server.listen[4].address", ":80 a second time")]


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
