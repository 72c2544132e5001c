"""Whatever goes in, one line comes out that a terminal shows as it is."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.escape import CUT, escaped, escaped_json, escaped_lines

ANYTHING = st.text(st.characters())
"""Also half surrogate pairs."""


@given(ANYTHING)
def test_what_comes_out_has_no_control_format_or_separator_character(text: str) -> None:
    shown = escaped(text)
    assert all(one == " " or unicodedata.category(one)[0] not in "CZ" for one in shown)
    assert shown.encode() or not text


@given(ANYTHING, st.integers(0, 50))
def test_what_comes_out_is_bounded(text: str, most: int) -> None:
    assert len(escaped(text, most)) <= most + len(CUT)
    assert escaped(text[:most], most).startswith(escaped(text, most)[: most // 10])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 日本", "plain, ünïcode 日本"),
        ("a\r\nb\x00", "a\\r\\nb\\x00"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m\x7f\x85", "\\x9b31m\\x7f\\x85"),
        ("\u202egnp\u2066\u2069", "\\u202egnp\\u2066\\u2069"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\xa0", "\\xa0"),
    ],
)
def test_the_usual_attacks(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_lines_stay_lines() -> None:
    assert escaped_lines("a\nb\x1b\n") == "a\nb\\x1b\n"


@given(ANYTHING)
def test_json_reads_as_before_and_has_no_control_character(text: str) -> None:
    for ascii_alone in (True, False):
        document = escaped_json(json.dumps({text: text}, ensure_ascii=ascii_alone))
        assert json.loads(document) == {text: text}
        assert document.isprintable()


def test_json_stays_as_readable_as_it_was() -> None:
    assert escaped_json('{"naïve": "日本\\n"}\n') == '{"naïve": "日本\\n"}\n'
    assert escaped_json('"\x9b\u202e\U000e0041"') == '"\\u009b\\u202e\\udb40\\udc41"'
