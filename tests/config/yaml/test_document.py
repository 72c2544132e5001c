"""Text to tree: values, places, variables, merges, and a bound on the whole."""

import pytest

from canaryproxy.config.problems import Position, path_text
from canaryproxy.config.yaml.document import MAX_BYTES, Document, SourceValue, read_document
from canaryproxy.config.yaml.nodes import UnreadableYamlError


def faults(document: Document) -> list[tuple[str, int, int, str]]:
    return [(path_text(loc), *place, wrong.found or "") for loc, place, wrong in document.faults]


def test_values_have_types_and_paths_have_places() -> None:
    document = read_document("a: 5\nb:\n  c: [x, 0.5]\n", {})
    assert document.tree == {"a": 5, "b": {"c": ["x", 0.5]}}
    assert document.source_values == {
        (): SourceValue(Position(1, 1)),
        ("a",): SourceValue(Position(1, 1), "5"),
        ("b",): SourceValue(Position(2, 1)),
        ("b", "c"): SourceValue(Position(3, 3)),
        ("b", "c", 0): SourceValue(Position(3, 7), "x"),
        ("b", "c", 1): SourceValue(Position(3, 10), "0.5"),
    }
    assert document.faults == ()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_an_empty_text_is_nothing(text: str) -> None:
    assert read_document(text, {}).tree is None


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_document("\ufeffa: 1", {}).tree == {"a": 1}


def test_keys_are_text_as_written() -> None:
    document = read_document("no: 1\n5: 2\n~: 3\n'': 4\n${X}: 5\n", {"X": "never"})
    assert document.tree == {"no": 1, "5": 2, "~": 3, "": 4, "${X}": 5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: ${W}", 5),
        ("a: '${W}'", "5"),
        ('a: "${W}%"', "5%"),
        ("a: ${NOPE:-off}", False),
        ("a: ${NOPE:-}", None),
        ("a: ${TREE}", "{b: c}"),
        ("a: ${LINES}", "x\nb: 1"),
        ("a: $${W}", "${W}"),
        ("a: |-\n  ${W}", "5"),
    ],
)
def test_plain_scalars_are_typed_after_expansion_which_never_adds_structure(text: str, value: object) -> None:
    environ = {"W": "5", "TREE": "{b: c}", "LINES": "x\nb: 1"}
    assert read_document(text, environ).tree == {"a": value}


def test_variables_are_remembered_with_the_text_as_written() -> None:
    assert read_document("a: x${W}", {"W": "5"}).source_values["a",] == SourceValue(Position(1, 1), "x${W}", ("W",))


def test_every_fault_is_noted_and_reading_goes_on() -> None:
    document = read_document("a: ${X}\nb: ${}\na: 2\n[c]: 3\nd: 4\n<<: 5\n", {})
    assert document.tree == {"a": None, "b": None, "d": 4}
    assert sorted(faults(document)) == [
        ("", 4, 1, "a key that is not text"),
        ("", 6, 5, "a merge key <<"),
        ("a", 1, 1, "the environment variable X is not set"),
        ("a", 3, 1, "a key that is given at line 1 already"),
        ("b", 2, 1, "a ${ that is not a reference to a variable"),
    ]


def test_merge_keys_fill_what_is_not_given() -> None:
    text = """
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4, <<: *base}
one: {<<: *base, b: 5}
two: {<<: [*more, *base], d: 6}
"""
    tree = read_document(text, {}).tree
    assert isinstance(tree, dict)
    assert tree["one"] == {"b": 5, "a": 1}
    assert tree["two"] == {"d": 6, "b": 3, "c": 4, "a": 1}


def test_a_quoted_merge_key_is_an_ordinary_one() -> None:
    assert read_document('a: {"<<": 1}', {}).tree == {"a": {"<<": 1}}


def test_a_fault_behind_aliases_is_reported_once() -> None:
    document = read_document("a: &a {x: '${NOPE}', x: 1}\nb: *a\nc: {<<: *a}\n", {})
    assert [found for *_, found in faults(document)] == [
        "a key that is given at line 1 already",
        "the environment variable NOPE is not set",
    ]


BOMBS = {
    "aliases": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
    "merges": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
    "nesting": "".join(f"a{n}: &a{n} [{'[' * 40}{f'*a{n - 1}' if n else ''}{']' * 40}]\n" for n in range(40)),
    "chain": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 5000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused(bomb: str) -> None:
    with pytest.raises(UnreadableYamlError) as error:
        read_document(BOMBS[bomb], {})
    assert error.value.wrong.found in ("too many keys and values", "nesting that is too deep")


@pytest.mark.parametrize("letter", ["a", "ü"])
def test_more_than_four_mebibytes_are_refused_unread(letter: str) -> None:
    size = len(letter.encode())
    assert read_document("#" + letter * (MAX_BYTES // size - 1), {}).tree is None
    with pytest.raises(UnreadableYamlError) as error:
        read_document("#" + letter * (MAX_BYTES // size), {})
    assert error.value.wrong.found == "a config of more than 4 MiB"
