"""Plain scalars: numbers and switches are understood, YAML 1.1's surprises are not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.yaml.scalars import MAX_VALUE_LENGTH, Expanded, expand, typed_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("False", False),
        ("no", False),
        ("OFF", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("12345", 12_345),
        ("0.25", 0.25),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
    ],
)
def test_a_plain_scalar_has_the_type_it_reads_like(text: str, value: object) -> None:
    result = typed_scalar(text)
    assert result == value
    assert type(result) is type(value)


def test_not_a_number_is_a_number_too() -> None:
    assert math.isnan(float(str(typed_scalar(".nan"))))


@pytest.mark.parametrize(
    "text", ["010", "0x10", "0o7", "1_000", "1:30", "2024-01-01", "nULL", "y", "none", "5%", "1e", "٣"]
)
def test_surprises_of_older_yaml_stay_text(text: str) -> None:
    assert typed_scalar(text) == text


@pytest.mark.parametrize("text", ["9" * 19, "9" * 5000, "1." + "0" * 31])
def test_numbers_beyond_use_stay_text(text: str) -> None:
    assert typed_scalar(text) == text


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_whole_number_is_read_as_written(number: int) -> None:
    assert typed_scalar(str(number)) == number


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
    assert wrong.value.found == "a ${ that is not a reference to a variable"


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
