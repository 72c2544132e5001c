"""YAML text to nodes: places, bounds, and nothing that YAML could do besides."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import Position
from canaryproxy.config.yaml.nodes import (
    LOADERS,
    MAX_DEPTH,
    MAX_NODES,
    Mapping,
    Scalar,
    Sequence,
    UnreadableYamlError,
    compose,
)

every_loader = pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)


def refused(text: str, loader: type[Any]) -> UnreadableYamlError | None:
    try:
        compose(text, loader)
    except UnreadableYamlError as error:
        return error
    return None


def unreadable(text: str, loader: type[Any] = LOADERS[0]) -> tuple[Position, str]:
    error = refused(text, loader)
    assert error is not None
    return error.position, error.wrong.found or ""


@every_loader
def test_nodes_know_their_places(loader: type[Any]) -> None:
    root = compose("a: 1\nb:\n  - 'x'\n  - {c: y}\n", loader)
    assert root == Mapping(
        Position(1, 1),
        (
            (Scalar(Position(1, 1), "a", True), Scalar(Position(1, 4), "1", True)),
            (
                Scalar(Position(2, 1), "b", True),
                Sequence(
                    Position(3, 3),
                    (
                        Scalar(Position(3, 5), "x", False),
                        Mapping(
                            Position(4, 5), ((Scalar(Position(4, 6), "c", True), Scalar(Position(4, 9), "y", True)),)
                        ),
                    ),
                ),
            ),
        ),
    )


@every_loader
@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n# nothing"])
def test_a_text_without_content_has_no_root_or_an_empty_one(loader: type[Any], text: str) -> None:
    root = compose(text, loader)
    assert root is None or (isinstance(root, Scalar) and root.text == "")


@every_loader
def test_an_alias_is_the_node_it_points_to(loader: type[Any]) -> None:
    root = compose("a: &x [1]\nb: *x\n", loader)
    assert isinstance(root, Mapping)
    assert root.items[0][1] is root.items[1][1]


@every_loader
@pytest.mark.parametrize(
    ("text", "line", "column", "found"),
    [
        ("a: *x", 1, 4, "an alias *x without its anchor"),
        ("a: &x\n  - *x\n", 2, 5, "an alias *x without its anchor"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document, after ---"),
        ("a: !!python/name:os.system x", 1, 4, "a YAML tag (!...)"),
        ("a: !!binary aGk=", 1, 4, "a YAML tag (!...)"),
        ("a: !mine {b: c}", 1, 4, "a YAML tag (!...)"),
        ("a: \x00", 1, 4, "a character that YAML does not allow"),
        ("a: 1\nb: \ud800", 2, 4, "a character that YAML does not allow"),
        ("a:\n\tb: 1", 2, 1, "a tab in the indentation"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    loader: type[Any], text: str, line: int, column: int, found: str
) -> None:
    assert unreadable(text, loader) == (Position(line, column), found)


@every_loader
@pytest.mark.parametrize("text", ["a: !!str 5", "a: ! 5", "a: '5'", 'a: "5"', "a: |-\n  5"])
def test_quoted_and_tagged_text_is_no_plain_scalar(loader: type[Any], text: str) -> None:
    root = compose(text, loader)
    assert isinstance(root, Mapping)
    value = root.items[0][1]
    assert isinstance(value, Scalar)
    assert (value.text, value.plain) == ("5", False)


@every_loader
def test_nesting_is_bounded(loader: type[Any]) -> None:
    compose("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), loader)
    assert unreadable("[" * 100_000, loader)[1] == "nesting that is too deep"


def test_the_number_of_nodes_is_bounded() -> None:
    place, found = unreadable("[" + "a," * MAX_NODES)
    assert found == "too many keys and values"
    assert place.line == 1


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@`#<. \t\n\r\u0085\ufeff$0~"), max_size=60))
def test_any_text_is_composed_or_refused_whichever_parser_reads_it(text: str) -> None:
    for loader in LOADERS:
        error = refused(text, loader)
        assert error is None or (error.wrong.hint and error.position >= (1, 1) and error.position.column >= 1)


def test_a_failure_of_the_parser_without_a_place_is_reported_too() -> None:
    class Broken:
        def __init__(self, stream: str) -> None:
            raise yaml.YAMLError(f"cannot read {len(stream)} characters")

    assert unreadable("a: 1", Broken) == (Position(1, 1), "text that is not YAML")
