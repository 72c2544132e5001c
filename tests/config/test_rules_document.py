"""Rules from plain data: the same readers as the file's, problems by path."""

import pytest

from canaryproxy.config.rules_document import InvalidRuleError, rule_from_written, rules_from_written


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
    with pytest.raises(InvalidRuleError) as error:
        rule_from_written(written)
    assert error.value.problems[0][0] == path


@pytest.mark.parametrize("written", [None, {}, "x", [{"name": "a", "to": "canary"}] * 2])
def test_what_is_no_list_of_rules(written: object) -> None:
    with pytest.raises(InvalidRuleError):
        rules_from_written(written)


def test_rules_keep_their_order() -> None:
    rules = rules_from_written([{"name": name, "to": "canary"} for name in "ba"])
    assert [rule.name for rule in rules] == ["b", "a"]
