"""`${NAME}` in values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.yaml.environment import MAX_VALUE_LENGTH, Expanded, expand


def refused(text: str, environ: dict[str, str]) -> InvalidValueError | None:
    try:
        expand(text, environ)
    except InvalidValueError as wrong:
        return wrong
    return None


ENVIRON = {"HOST": "localhost", "PORT": "9001", "EMPTY": "", "NESTED": "${HOST}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("http://${HOST}:${PORT}", "http://localhost:9001"),
        ("${NOPE:-default}", "default"),
        ("${NOPE:-}", ""),
        ("${HOST:-default}", "localhost"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NOPE:-a:-b}", "a:-b"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST $ {HOST} $", "$HOST $ {HOST} $"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_references_are_replaced_once(text: str, expanded: str) -> None:
    assert expand(text, ENVIRON).text == expanded


def test_the_variables_are_reported() -> None:
    assert expand("${HOST}-${NOPE:-x}", ENVIRON) == Expanded("localhost-x", ("HOST", "NOPE"))


def test_an_unset_variable_without_default_is_named() -> None:
    with pytest.raises(InvalidValueError) as wrong:
        expand("${NOPE}", ENVIRON)
    assert wrong.value.found == "the environment variable NOPE is not set"
    assert "${NOPE:-value}" in wrong.value.hint


@pytest.mark.parametrize("text", ["${}", "${", "${A B}", "${1A}", "${A-b}", "${A:b}", "${Ä}", "${A", "${A:-{}}"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        expand(text, {"A": "a"})
    assert wrong.value.found == "a ${ that is no reference to a variable"


def test_a_value_cannot_grow_without_bound() -> None:
    with pytest.raises(InvalidValueError, match="at most"):
        expand("${BIG}" * 10, {"BIG": "x" * (MAX_VALUE_LENGTH // 4)})


@given(st.text(), st.dictionaries(st.sampled_from("AB"), st.text(max_size=5)))
def test_any_text_expands_or_says_why_not(text: str, environ: dict[str, str]) -> None:
    for written in (text, "${" + text + "}", "${A:-" + text + "}${B}"):
        wrong = refused(written, environ)
        assert wrong is None or wrong.found


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_a_reference_stays_as_it_is(text: str) -> None:
    assert expand(text, {}).text == text
