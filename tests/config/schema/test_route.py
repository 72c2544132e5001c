"""Routes: what their parts make together."""

import pytest

from canaryproxy.config import Config, ConfigError, parse
from canaryproxy.model.rule import Condition
from canaryproxy.model.table import Mirror, Shield

TWO = "stable: http://a\ncanary: http://b\n"


def config(text: str) -> Config:
    return parse(TWO + text, "f", {})


def test_the_conditions_of_a_rule_are_all_its_keys() -> None:
    (rule,) = (
        config("""
rules:
  - name: all
    to: canary
    headers: {X-A: {present: true}}
    cookies: {c: "1"}
    query: {q: {in: [a, b]}}
    methods: [GET]
    path: {prefix: /a}
    sources: [10.0.0.0/8]
""")
        .routes["default"]
        .rules
    )
    assert rule.conditions == (
        Condition("method", "in", ("GET",)),
        Condition("header", "present", ("true",), "x-a"),
        Condition("cookie", "exact", ("1",), "c"),
        Condition("path", "prefix", ("/a",)),
        Condition("query", "in", ("a", "b"), "q"),
        Condition("source", "in", ("10.0.0.0/8",)),
    )
    assert (rule.percent, rule.preview, rule.analyse) == (10_000, False, False)


def test_a_rule_that_can_never_decide_is_worth_a_warning() -> None:
    rules = (
        'rules: [{name: a, to: canary}, {name: b, to: stable}, {name: c, headers: {x: "1"}, to: stable, preview: true}]'
    )
    assert config(rules).warnings == (
        "routes.default.rules: b never applies, since a has the same conditions and comes first",
        "routes.default.rules: `preview` of c has no effect, since the rule sends requests to stable",
    )


def test_a_version_is_where_its_urls_are() -> None:
    several = parse("stable: {endpoints: ['http://a:1', 'http://b:2']}\ncanary: https://c", "f", {}).routes["default"]
    assert [str(origin) for origin in several.stable.origins] == ["http://a:1", "http://b:2"]
    assert [str(origin) for origin in several.sides[1].origins] == ["https://c:443"]


@pytest.mark.parametrize("canary", ["{}", "{url: 'http://a', endpoints: ['http://b']}", "{url: 'http://a', tls: {}}"])
def test_parts_that_contradict_each_other_are_refused(canary: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"stable: http://a\ncanary: {canary}", "f", {})


def test_off_leaves_a_section_out() -> None:
    made = parse("server: {access_log: off}\nstable: {url: 'http://a', health: none}\ncanary: http://b", "f", {})
    assert made.server.access_log is None
    assert made.routes["default"].stable.health is None
    assert made.files == ()


@pytest.mark.parametrize(
    ("written", "shield"),
    [
        ("true", Shield(2.0, 2_000)),
        ("{}", Shield(2.0, 2_000)),
        ("{timeout: 500ms}", Shield(0.5, 2_000)),
        ("{budget: 100}", Shield(2.0, 10_000)),
        ("off", None),
        ("false", None),
        ("none", None),
        ('"off"', None),
    ],
)
def test_a_shield_is_on_with_true_and_off_with_off(written: str, shield: Shield | None) -> None:
    made = config(f"shield: {written}").routes["default"].shield
    assert (made.shield if made is not None else None) == shield


def test_a_mirror_copies_what_changes_nothing_unless_configured_so() -> None:
    made = config("mirror: {percent: 0.25}").routes["default"].mirror
    assert made is not None
    assert made.mirror == Mirror(25, ("GET", "HEAD"), 65_536)
    unsafe = config("mirror: {percent: 1, methods: [POST], unsafe_methods: true}").routes["default"].mirror
    assert unsafe is not None
    assert unsafe.mirror.methods == ("POST",)
    assert config("mirror: off").routes["default"].mirror is None


STEPS = "steps: [{{weight: 0, rules: [{{name: a, path: /{0}, to: canary}}], mirror: {{percent: {1}}}}}, 50, 100]"


@pytest.mark.parametrize(
    "other",
    [STEPS.format("b", 1), STEPS.format("a", 2), STEPS.format("a", 1).replace("50", "{weight: 50, hold: true}")],
)
def test_an_edit_of_a_step_gives_a_route_another_digest(other: str) -> None:
    def digest(steps: str) -> str:
        return parse(f"stable: http://a\ncanary: http://b\nrollout: {{{steps}}}\n", "f", {}).routes["default"].digest

    assert digest(STEPS.format("a", 1)) == digest(STEPS.format("a", 1)) != digest(other)


def test_the_digest_of_a_route_names_nothing_of_the_code() -> None:
    text = "stable: http://a\ncanary: http://b\ngoals: [{name: a, path: {prefix: /b}}]\n"
    digest = parse(text, "f", {}).routes["default"].digest
    assert digest == "2d4a968a9abd5f059bec31794fb0ad43813b1849453eea0fe76c350632598130"
