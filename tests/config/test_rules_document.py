"""Rules from plain data: the same readers as the file's, problems by path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.rules_document import rule_as_written, rule_from_written, rules_from_written
from canaryproxy.config.schema.section import InvalidDocumentError

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)
MATCHERS = st.one_of(
    TEXTS,
    TEXTS.map(lambda text: {"prefix": text}),
    st.booleans().map(lambda flag: {"present": flag}),
    st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda some: {"in": some}),
    st.just({"regex": "a.*"}),
)
RULES = st.fixed_dictionaries(
    {"name": NAMES, "to": st.sampled_from(["stable", "canary"])},
    optional={
        "headers": st.dictionaries(NAMES.map(lambda name: f"x-{name}"), MATCHERS, max_size=2),
        "cookies": st.dictionaries(NAMES, MATCHERS, max_size=2),
        "query": st.dictionaries(NAMES, MATCHERS, max_size=2),
        "methods": st.just(["GET", "HEAD"]),
        "path": st.sampled_from(["/a", {"prefix": "/a"}, {"regex": "/a.*"}]),
        "sources": st.just(["10.0.0.0/8"]),
        "percent": st.integers(0, 10_000).map(lambda points: points / 100),
        "preview": st.booleans(),
        "analyse": st.booleans(),
    },
)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (None, ""),
        ("x", ""),
        ({}, "name"),
        ({"name": "A", "to": "canary"}, "name"),
        ({"name": "a", "to": "x"}, "to"),
        ({"name": "a", "to": "canary", "x": 1}, "x"),
        ({"name": "a", "to": "canary", "headers": {"x": 5}}, "headers.x"),
        ({"name": "a", "to": "canary", "cookies": {"x": "\ud800"}}, "cookies.x"),
        ({"name": "a", "to": "canary", "sources": ["x"]}, "sources[0]"),
        ({"name": "a", "to": "canary", "percent": 101}, "percent"),
    ],
)
def test_problems_name_their_path(written: object, path: str) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        rule_from_written(written)
    assert error.value.problems[0][0] == path


@pytest.mark.parametrize("written", [None, {}, "x", [{"name": "a", "to": "canary"}] * 2])
def test_what_is_no_list_of_rules(written: object) -> None:
    with pytest.raises(InvalidDocumentError):
        rules_from_written(written)


def test_rules_keep_their_order() -> None:
    rules = rules_from_written([{"name": name, "to": "canary"} for name in "ba"])
    assert [rule.name for rule in rules] == ["b", "a"]


@given(RULES)
def test_writing_and_reading_give_the_same_rule(written: dict[str, object]) -> None:
    rule = rule_from_written(written)
    assert rule_from_written(rule_as_written(rule)) == rule
