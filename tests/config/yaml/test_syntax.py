"""Words for text that is not YAML: the same from either parser."""

from typing import Any

import pytest

from canaryproxy.config.problems import Position
from canaryproxy.config.yaml.nodes import LOADERS, UnreadableYamlError, compose
from canaryproxy.config.yaml.syntax import syntax_hint


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)
@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("a: b\n\tc: d\n", (2, 1), "a tab in the indentation"),
        ("a:\n  \tb: 1\n", (2, 3), "a tab in the indentation"),
        ('a: "x\nb: 1\n', (1, 4), "a quoted text without its closing quote"),
        ("a: 'x\n", (1, 4), "a quoted text without its closing quote"),
        ('a: "\\q"\n', (1, 4), "an unknown \\ escape in double quotes"),
        ("a: [1, 2\nb: 3\n", (1, 4), "an unfinished ["),
        ("a: {b: 1\nc: 3\n", (1, 4), "an unfinished {"),
        ("a: {x: ${Y}}\n", (1, 9), "a ${...} inside [ ] or { }"),
        ("a: b: c\n", (1, 5), "a second colon followed by a space"),
        ("a: 1\n  b: 2\n", (2, 4), "a `key: value` that does not fit the line above"),
        ("stable http://x\ncanary: http://y\n", (1, 1), "a line without a colon and a space"),
        ("a: 1\nb 2\n", (2, 1), "a line without a colon and a space"),
        ("a: @x\n", (1, 4), "a value that begins with @"),
        ("a: `x`\n", (1, 4), "a value that begins with `"),
        ("a: *.example.com\n", (1, 4), "a value that begins with *"),
        ("a: &.x\n", (1, 4), "a value that begins with &"),
        ("a: 'it's'\n", (1, 8), "text that YAML does not allow here"),
        ("- a\nb: 1\n", (2, 1), "text that YAML does not allow here"),
    ],
)
def test_a_slip_is_named_where_it_is(loader: type[Any], text: str, place: tuple[int, int], found: str) -> None:
    with pytest.raises(UnreadableYamlError) as error:
        compose(text, loader)
    assert error.value.wrong.found == found
    assert error.value.position == place


def test_a_place_beyond_the_last_line_is_no_trouble() -> None:
    place, wrong = syntax_hint("a: 1\n", "odd", "", Position(7, 1), Position(7, 1))
    assert (place, wrong.found) == (Position(7, 1), "text that YAML does not allow here")
