"""Single conditions; most are tested by tests/integration/decisions.yaml. H54."""

import pytest

from canaryproxy.model.rule import Condition
from canaryproxy.routing.conditions import compile_condition, exact_keys, mismatch_reason, requirement
from tests.routing.test_rule_index import facts


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition("header", "exact", ("1",), "x-a"), 'header x-a must be "1", and it is "2" and "3"'),
        (Condition("header", "prefix", ("1",), "x-c"), 'header x-c must begin with "1", and it is absent'),
        (Condition("header", "present", ("false",), "x-a"), 'header x-a must be absent, and it is "2" and "3"'),
        (Condition("header", "present", ("true",), "x-c"), "header x-c must be present, and it is absent"),
        (Condition("cookie", "in", ("a", "b"), "c"), 'cookie c must be "a" or "b", and it is absent'),
        (Condition("query", "regex", ("[0-9]+",), "q"), 'query q must match "[0-9]+", and it is "x y"'),
        (Condition("path", "prefix", ("/beta",)), 'path must begin with "/beta", and it is "/alpha"'),
        (Condition("method", "in", ("PUT", "POST")), 'method must be "PUT" or "POST", and it is "GET"'),
        (Condition("source", "in", ("10.0.0.0/8",)), "source must be in 10.0.0.0/8, and it is 192.0.2.1"),
    ],
)
def test_what_does_not_hold_is_reported_in_words(condition: Condition, words: str) -> None:
    asked = facts(b"/alpha?q=x+y", b"X-A: 2\r\nX-A: 3\r\n")
    assert not compile_condition(condition).matches(asked)
    assert mismatch_reason(condition, asked) == words
    assert words.startswith(requirement(condition))


def test_long_values_are_cut_in_words() -> None:
    condition = Condition("header", "exact", ("1",), "x-a")
    assert mismatch_reason(condition, facts(plain=b"X-A: " + b"y" * 100 + b"\r\n")).endswith('yyy..."')


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        (Condition("header", "in", ("1", "2"), "x-a"), [("header", b"x-a", b"1"), ("header", b"x-a", b"2")]),
        (Condition("path", "exact", ("/%61",)), [("path", b"", b"/a")]),
        (Condition("header", "prefix", ("1",), "x-a"), []),
        (Condition("method", "in", ("GET",)), []),
        (Condition("source", "in", ("::1/128",)), []),
    ],
)
def test_only_exact_values_can_be_looked_up(condition: Condition, keys: list[tuple[str, bytes, bytes]]) -> None:
    assert exact_keys(condition) == keys
