"""Patterns of rules, one by one and many in one pass: the same answers, at a cost that no client can drive up. H54,
H55.
"""

import itertools
import time
from collections.abc import Sequence
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.patterns import InvalidPatternError, Pattern, PatternSet, Prefix, core_of, pattern

PIECES = [
    "a",
    "b",
    "ab",
    ".",
    ".*",
    ".+",
    "a*",
    "[ab]",
    "[^a]",
    "[^\\n]*",
    "(a|b)",
    "(?:a|)",
    "|",
    "^",
    "$",
    "\\b",
    "\\B",
    "\\x0a",
    "\\n",
    "\\.",
    "a{2}",
    "b{2,}",
    "(?i)A",
    "(?s).",
    "(?m)",
    "\\A",
    "\\z",
    "(?-s)",
    "(?P<x>a)",
    "[.*]",
    "\\.*",
    ".*?",
    "\\s",
    "[[:alpha:]]*",
    "[|]",
    "\\|",
    "\\C",
    "é",
    "",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
VALUES = st.lists(
    st.lists(st.sampled_from([b"a", b"b", b".", b"\n", b"A", b" ", b"\xff", b"|", b"\xc3\xa9"]), max_size=4).map(
        b"".join
    ),
    max_size=9,
)


def made(text: str) -> Pattern | None:
    try:
        return Pattern(text)
    except InvalidPatternError:
        return None


def test_a_pattern_matches_the_whole_value_and_nothing_less() -> None:
    matches = Pattern("a|bc+")
    assert [matches(value) for value in (b"a", b"bcc", b"abc", b"bc\n", b"")] == [True, True, False, False, False]


def test_a_pattern_sees_bytes() -> None:
    assert Pattern(r"\xff.")(b"\xff\x80")


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(", r"(a)\1", "a{2,1}", "[z-a]", "(a{1000}){1000}", "a{1001}", ".{1000}" * 99]
)
def test_what_re2_does_not_take_is_refused_with_its_reason(pattern: str) -> None:
    with pytest.raises(InvalidPatternError, match=r"."):
        Pattern(pattern)


def test_no_pattern_takes_more_than_linear_time() -> None:
    matches = Pattern("(a*)*b")
    started = time.process_time()
    assert not matches(b"a" * 50_000)
    assert time.process_time() - started < 1


@given(TEXTS, VALUES)
def test_of_several_values_any_may_match_however_many_there_are(text: str, values: list[bytes]) -> None:
    pattern = made(text)
    if pattern is not None:
        assert pattern.any(values) is any(pattern(value) for value in values)


@given(st.lists(TEXTS, max_size=8), st.lists(st.sampled_from([b"a", b"b\n", b"", b"\xff", b".*"]), max_size=2), VALUES)
def test_a_battery_finds_what_its_patterns_find(texts: list[str], prefixes: list[bytes], values: list[bytes]) -> None:
    some: list[Pattern | Prefix] = [pattern for pattern in map(made, texts) if pattern is not None]
    some += map(Prefix, prefixes)
    battery = PatternSet("header", b"x", some)
    assert battery.matched(values) == {number for number, one in enumerate(some) if any(map(one, values))}


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("beta", b"(?m)^(?:beta)$"),
        ("a|b", b"(?m)^(?:a|b)$"),
        (".*iPhone.*", b"(?m)(?:iPhone)"),
        ("beta-[0-9]+", b"(?m)^(?:beta-[0-9]+)$"),
        ("beta-.*", b"(?m)^(?:beta-)"),
        (".*", b"(?m)(?:)"),
        (r"a\.*", rb"(?m)^(?:a\.*)$"),
    ],
)
def test_a_merged_pattern_does_not_remember_what_comes_behind_its_match(text: str, core: bytes) -> None:
    found = core_of(text)
    assert found is not None
    assert found.text == core


@pytest.mark.parametrize("text", ["a.*b.*c", ".*a[0-9]+b", ".*a|b.*", r"\Aa", "(?-s)a", ".*[ab]{9}", ".*?a", r"\Qa"])
def test_patterns_whose_common_automaton_might_not_stay_small_are_not_merged(text: str) -> None:
    assert core_of(text) is None


@pytest.mark.parametrize("form", ["v{}.*", ".*x{}.*", "[0-9]+-{}", "x{}[a-z0-9]*"])
def test_no_values_make_a_battery_slower_than_some_passes_over_them(form: str) -> None:
    """The attack: 60 KiB of values that are all different and take as many patterns as can be a step further."""
    some = [Pattern(form.format(number)) for number in range(200)]
    battery = PatternSet("cookie", b"x", some)
    pairs = itertools.islice(itertools.product(range(200), range(200)), 0, 40_000, 7)
    values = [b"v%dx%d-%d" % (one, other, one) for one, other in pairs]
    started = time.process_time()
    battery.matched(values)
    merged = time.process_time() - started
    started = time.process_time()
    for one in some[:20]:
        for value in values:
            one(value)
    assert merged < time.process_time() - started


class Exhausted:
    """An automaton without memory."""

    def matched(self, text: bytes) -> None:
        assert text


def test_without_memory_for_all_together_each_is_matched_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(PatternSet, "warn", said.append)
    battery = PatternSet("cookie", b"x", [Pattern("a.*"), Pattern("b"), Prefix(b"c")])
    broken: Any = battery
    broken._merged = [(Exhausted(), [0, 1, 2])]
    assert battery.matched([b"cd"]) == {2}
    assert battery.matched([b"ab", b"b"]) == {0, 1}
    assert said == [
        "3 regular expressions for one cookie x need more memory together than RE2 has; they are matched one by one"
    ]


def test_patterns_too_large_for_one_automaton_are_merged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of: list[int] = []
    real = re2.Set

    class Small:
        """A set that takes three patterns, and one that always matches."""

        def __init__(self, whole: Any) -> None:
            self.whole, self.count = whole, 0

        @classmethod
        def SearchSet(cls, options: Any) -> "Small":  # noqa: N802 - the name is RE2's
            return cls(real.SearchSet(options))

        def Add(self, text: bytes) -> None:  # noqa: N802
            self.count += 1
            self.whole.Add(text)

        def Compile(self) -> None:  # noqa: N802
            if self.count > 4:
                raise re2.error("failed to compile Set")
            made_of.append(self.count - 1)
            self.whole.Compile()

        def Match(self, text: bytes) -> Sequence[int] | None:  # noqa: N802
            found: Sequence[int] | None = self.whole.Match(text)
            return found

    monkeypatch.setattr(re2, "Set", Small)
    battery = PatternSet("cookie", b"x", [Pattern(f"a{number}") for number in range(11)])
    assert made_of == [2, 3, 3, 3]
    assert battery.matched([b"a10", b"a3"]) == {3, 10}


def test_a_change_of_one_rule_makes_its_pattern_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand patterns took 170 ms of every worker's loop, whatever was changed."""
    before = [pattern(f"kept{number}-.*") for number in range(600)]
    battery = PatternSet("cookie", b"x", before)
    made: list[bytes] = []
    compile_one = re2.compile

    def count(text: bytes, options: Any) -> Any:
        made.append(text)
        return compile_one(text, options)

    monkeypatch.setattr(re2, "compile", count)
    after = [pattern(f"kept{number}-.*") for number in range(600)] + [pattern("added-[0-9]")]
    assert made == [b"added-[0-9]"]
    changed = PatternSet("cookie", b"x", after)
    assert [one is other for (one, _), (other, _) in zip(battery._merged, changed._merged, strict=True)] == [
        True,
        True,
        False,
    ]
    assert changed.matched([b"kept3-x", b"added-7"]) == {3, 600}
