"""One field or cookie found: what either twin finds, and that both find the same in the same bytes."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.reference import both, each

EACH = each("canaryproxy.routing.field_scan")
plain, compiled = both("canaryproxy.routing.field_scan")
BLOCK = b"X-A: 1\r\nx-a:\t2 \t\r\nX-AB: 3\r\nX: 4\r\nnot-x-a: 5\r\nX-A:\r\nx_a: 6\r\nLast: caf\xc3\xa9\r\n"


@EACH
@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"x-a", (b"1", b"2", b"")),
        (b"x-ab", (b"3",)),
        (b"x", (b"4",)),
        (b"x-", ()),
        (b"a", ()),
        (b"last", (b"caf\xc3\xa9",)),
        (b"x_a", (b"6",)),
        (b"x.a", ()),
        (b"not-x-a: 5", ()),
        (b"l" * 500, ()),
    ],
)
def test_the_values_of_a_field_in_their_order(twin: ModuleType, name: bytes, values: tuple[bytes, ...]) -> None:
    assert twin.field_values(BLOCK, name) == values


@EACH
def test_a_block_without_lines_has_no_field(twin: ModuleType) -> None:
    assert twin.field_values(b"", b"x") == ()


@EACH
@pytest.mark.parametrize(
    ("field", "values"),
    [
        (b"a=1", (b"1",)),
        (b"a=1; a=2;a=3", (b"1", b"2", b"3")),
        (b"b=1; a=2", (b"2",)),
        (b"A=1", ()),
        (b"a", ()),
        (b"", ()),
        (b"aa=1; ba=2", ()),
        (b" \ta \t= \t1 \t; x", (b"1",)),
        (b'a="1"', (b"1",)),
        (b'a=""', (b"",)),
        (b'a="', (b'"',)),
        (b'a="1', (b'"1',)),
        (b"a=b=c", (b"b=c",)),
        (b"a=", (b"",)),
        (b";;a=1;;", (b"1",)),
        (b"=a=1", ()),
        (b"a==", (b"=",)),
        (b'a="1;2"', (b'"1',)),
    ],
)
def test_the_values_of_a_cookie(twin: ModuleType, field: bytes, values: tuple[bytes, ...]) -> None:
    assert twin.cookie_values(field, b"a") == values


@EACH
@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a?b", b"/a"),
        (b"/a", b"/a"),
        (b"/?", b"/"),
        (b"/a?b?c", b"/a"),
        (b"?", b""),
        (b"", b""),
        (b"*", b"*"),
        (b"/%3F?x", b"/%3F"),
    ],
)
def test_the_path_of_a_target_ends_before_its_first_question_mark(twin: ModuleType, target: bytes, path: bytes) -> None:
    assert twin.path_of(target) == path


@EACH
@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (b"0123456789abcdef", True),
        (b"A-Z_a-z_0-9_A-Z_", True),
        (b"a" * 64, True),
        (b"a" * 65, False),
        (b"a" * 15, False),
        (b"", False),
        (b"a" * 16 + b"\n", False),
        (b"a" * 15 + b".", False),
        (b"a" * 15 + b"\xe9", False),
        (b"a" * 15 + b"\0", False),
    ],
)
def test_what_looks_like_a_client_id_of_ours(twin: ModuleType, value: bytes, ours: bool) -> None:
    assert twin.is_client_id(value) is ours


@EACH
def test_quotes_are_taken_off_in_pairs(twin: ModuleType) -> None:
    quoted = [b"", b'"', b'""', b'"a"', b'a"', b'"a']
    found = [twin.cookie_values(b"a=" + value, b"a") for value in quoted]
    assert found == [(b"",), (b'"',), (b"",), (b"a",), (b'a"',), (b'"a',)]


@EACH
def test_cookies_that_are_asked_for_are_found_in_one_pass(twin: ModuleType) -> None:
    fields = (b'a=1; b="2";c=3; a=4', b"long=" + b"x" * 70 + b"; =d;" + b"n" * 70 + b"=5")
    names = twin.FieldNames([b"a", b"b", b"", b"n" * 70, b"m" * 63])
    assert names.cookies(fields) == {b"a": (b"1", b"4"), b"b": (b"2",), b"": (b"d",), b"n" * 70: (b"5",)}
    assert set(twin.FieldNames(None).cookies(fields)) == {b"a", b"b", b"c", b"long", b"", b"n" * 70}
    assert (b"a" in names, b"c" in names, b"c" in twin.FieldNames(None)) == (True, False, True)


@EACH
@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/", {}),
        (b"/?", {}),
        (b"/?a", {b"a": (b"",)}),
        (b"/?a=1&a=%31&b+c=d%2Be", {b"a": (b"1", b"1"), b"b c": (b"d+e",)}),
        (b"/?&&=g&h=%2541", {b"": (b"g",), b"h": (b"%41",)}),
        (b"/?a=%&b=%4&c=%zz&d=%%41", {b"a": (b"%",), b"b": (b"%4",), b"c": (b"%zz",), b"d": (b"%A",)}),
        (b"/?a=b=c?d", {b"a": (b"b=c?d",)}),
        (b"/%3Fa=1", {}),
    ],
)
def test_parameters_are_decoded_once(twin: ModuleType, target: bytes, found: dict[bytes, tuple[bytes, ...]]) -> None:
    assert twin.parameters(target) == found


# The two beside each other.

NAMES = st.sampled_from([b"a", b"ab", b"A", b"x-a", b"X-A", b"x_a", b"", b"a.", b"z" * 40])
VALUES = st.one_of(
    st.text(' \t"=;,:aAbx-\x7f~\xe9', max_size=12).map(lambda text: text.encode("latin-1")),
    st.binary(max_size=6).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
)
LINES = st.lists(st.tuples(NAMES.filter(bool), VALUES).map(lambda pair: b"%b:%b\r\n" % pair)).map(b"".join)
IDS = st.one_of(
    st.text("aZ0_-", min_size=14, max_size=66).map(str.encode),
    st.text("aZ0_-[`{@/:^.\n\xe9", min_size=16, max_size=17).map(lambda text: text.encode("latin-1")),
    st.binary(max_size=70),
)


@pytest.mark.compiled
@given(LINES, NAMES.filter(bool).map(bytes.lower))
def test_fields(block: bytes, name: bytes) -> None:
    assert compiled.field_values(block, name) == plain.field_values(block, name)


@pytest.mark.compiled
@given(st.lists(st.one_of(VALUES, st.tuples(NAMES, VALUES).map(b"=".join)), max_size=6).map(b";".join), NAMES)
def test_cookies(field: bytes, name: bytes) -> None:
    assert compiled.cookie_values(field, name) == plain.cookie_values(field, name)


@pytest.mark.compiled
@given(IDS)
def test_client_ids(value: bytes) -> None:
    assert compiled.is_client_id(value) is plain.is_client_id(value)


@pytest.mark.compiled
@given(
    st.lists(st.one_of(st.sampled_from([b"/", b"?", b"a", b"%3f", b"\0"]), st.binary(max_size=3)), max_size=8).map(
        b"".join
    )
)
def test_paths(target: bytes) -> None:
    assert compiled.path_of(target) == plain.path_of(target)


@pytest.mark.compiled
@given(
    st.lists(
        st.lists(st.one_of(VALUES, st.tuples(NAMES, VALUES).map(b"=".join)), max_size=6).map(b";".join), max_size=3
    ).map(tuple),
    st.one_of(st.none(), st.sets(st.one_of(NAMES, st.just(b"q" * 63), st.just(b"q" * 64)))),
)
def test_many_cookies(fields: tuple[bytes, ...], names: set[bytes] | None) -> None:
    found = compiled.FieldNames(names).cookies(fields)
    assert found == plain.FieldNames(names).cookies(fields)
    assert all(values == sum((plain.cookie_values(one, name) for one in fields), ()) for name, values in found.items())


@pytest.mark.compiled
@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"%41", b"%", b"%4", b"%zz", b"%0a", b"%fF", b"+", b"&", b"=", b"a", b"?"]),
            st.binary(max_size=2),
        ),
        max_size=12,
    ).map(b"".join)
)
def test_parameters(query: bytes) -> None:
    for target in (query, b"/p?" + query):
        assert compiled.parameters(target) == plain.parameters(target)
