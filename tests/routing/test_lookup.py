"""One field or cookie found: the same by the patterns and by their compiled twin where there is one."""

import importlib
from types import ModuleType

import pytest

from canaryproxy import MODE
from canaryproxy.routing import lookup

seek = importlib.import_module("canaryproxy.routing.seek") if MODE.compiled else lookup

EACH = pytest.mark.parametrize(
    "finder", [pytest.param(lookup, id="lookup"), pytest.param(seek, id="seek", marks=pytest.mark.compiled)]
)
BLOCK = b"X-A: 1\r\nx-a:\t2 \t\r\nX-AB: 3\r\nX: 4\r\nnot-x-a: 5\r\nX-A:\r\nx_a: 6\r\nLast: caf\xc3\xa9\r\n"


@EACH
@pytest.mark.parametrize(
    ("name", "values"),
    [(b"x-a", (b"1", b"2", b"")), (b"x-ab", (b"3",)), (b"x", (b"4",)), (b"x-", ()), (b"a", ()), (b"last", (b"caf\xc3\xa9",)),
     (b"x_a", (b"6",)), (b"x.a", ()), (b"not-x-a: 5", ()), (b"l" * 500, ())],
)  # fmt: skip
def test_the_values_of_a_field_in_their_order(finder: ModuleType, name: bytes, values: tuple[bytes, ...]) -> None:
    assert finder.field_values(BLOCK, name) == values


@EACH
def test_a_block_without_lines_has_no_field(finder: ModuleType) -> None:
    assert finder.field_values(b"", b"x") == ()


@EACH
@pytest.mark.parametrize(
    ("field", "values"),
    [
        (b"a=1", (b"1",)), (b"a=1; a=2;a=3", (b"1", b"2", b"3")), (b"b=1; a=2", (b"2",)), (b"A=1", ()), (b"a", ()), (b"", ()),
        (b"aa=1; ba=2", ()), (b" \ta \t= \t1 \t; x", (b"1",)), (b'a="1"', (b"1",)), (b'a=""', (b"",)), (b'a="', (b'"',)),
        (b'a="1', (b'"1',)), (b"a=b=c", (b"b=c",)), (b"a=", (b"",)), (b";;a=1;;", (b"1",)), (b"=a=1", ()), (b"a==", (b"=",)),
        (b'a="1;2"', (b'"1',)),
    ],
)  # fmt: skip
def test_the_values_of_a_cookie(finder: ModuleType, field: bytes, values: tuple[bytes, ...]) -> None:
    assert finder.cookie_values(field, b"a") == values


@EACH
@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/a?b", b"/a"), (b"/a", b"/a"), (b"/?", b"/"), (b"/a?b?c", b"/a"), (b"?", b""), (b"", b""), (b"*", b"*"), (b"/%3F?x", b"/%3F")],
)  # fmt: skip
def test_the_path_of_a_target_ends_before_its_first_question_mark(
    finder: ModuleType, target: bytes, path: bytes
) -> None:
    assert finder.path_of(target) == path


@EACH
@pytest.mark.parametrize(
    ("value", "ours"),
    [(b"0123456789abcdef", True), (b"A-Z_a-z_0-9_A-Z_", True), (b"a" * 64, True), (b"a" * 65, False), (b"a" * 15, False),
     (b"", False), (b"a" * 16 + b"\n", False), (b"a" * 15 + b".", False), (b"a" * 15 + b"\xe9", False), (b"a" * 15 + b"\0", False)],
)  # fmt: skip
def test_what_looks_like_a_client_id_of_ours(finder: ModuleType, value: bytes, ours: bool) -> None:
    assert finder.is_client_id(value) is ours


def test_quotes_are_taken_off_in_pairs() -> None:
    quoted = [b"", b'"', b'""', b'"a"', b'a"', b'"a']
    assert [lookup.unquoted(value) for value in quoted] == [b"", b'"', b"", b"a", b'a"', b'"a']


@EACH
def test_cookies_that_are_asked_for_are_found_in_one_pass(finder: ModuleType) -> None:
    fields = (b'a=1; b="2";c=3; a=4', b"long=" + b"x" * 70 + b"; =d;" + b"n" * 70 + b"=5")
    names = finder.Names([b"a", b"b", b"", b"n" * 70, b"m" * 63])
    assert names.cookies(fields) == {b"a": (b"1", b"4"), b"b": (b"2",), b"": (b"d",), b"n" * 70: (b"5",)}
    assert set(finder.Names(None).cookies(fields)) == {b"a", b"b", b"c", b"long", b"", b"n" * 70}
    assert (b"a" in names, b"c" in names, b"c" in finder.Names(None)) == (True, False, True)


@EACH
@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/", {}), (b"/?", {}), (b"/?a", {b"a": (b"",)}), (b"/?a=1&a=%31&b+c=d%2Be", {b"a": (b"1", b"1"), b"b c": (b"d+e",)}),
        (b"/?&&=g&h=%2541", {b"": (b"g",), b"h": (b"%41",)}), (b"/?a=%&b=%4&c=%zz&d=%%41", {b"a": (b"%",), b"b": (b"%4",), b"c": (b"%zz",), b"d": (b"%A",)}),
        (b"/?a=b=c?d", {b"a": (b"b=c?d",)}), (b"/%3Fa=1", {}),
    ],
)  # fmt: skip
def test_parameters_are_decoded_once(finder: ModuleType, target: bytes, found: dict[bytes, tuple[bytes, ...]]) -> None:
    assert finder.parameters(target) == found
