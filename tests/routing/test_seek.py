"""The compiled look-up and the plain one find the same. What they should find: test_lookup.py, for both."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import MODE
from canaryproxy.routing import lookup

seek = importlib.import_module("canaryproxy.routing.seek") if MODE.compiled else lookup

pytestmark = pytest.mark.compiled

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


@given(LINES, NAMES.filter(bool).map(bytes.lower))
def test_fields(block: bytes, name: bytes) -> None:
    assert seek.field_values(block, name) == lookup.field_values(block, name)


@given(st.lists(st.one_of(VALUES, st.tuples(NAMES, VALUES).map(b"=".join)), max_size=6).map(b";".join), NAMES)
def test_cookies(field: bytes, name: bytes) -> None:
    assert seek.cookie_values(field, name) == lookup.cookie_values(field, name)


@given(IDS)
def test_client_ids(value: bytes) -> None:
    assert seek.is_client_id(value) is lookup.is_client_id(value)


@given(
    st.lists(st.one_of(st.sampled_from([b"/", b"?", b"a", b"%3f", b"\0"]), st.binary(max_size=3)), max_size=8).map(
        b"".join
    )
)
def test_paths(target: bytes) -> None:
    assert seek.path_of(target) == lookup.path_of(target)


@given(
    st.lists(
        st.lists(st.one_of(VALUES, st.tuples(NAMES, VALUES).map(b"=".join)), max_size=6).map(b";".join), max_size=3
    ).map(tuple),
    st.one_of(st.none(), st.sets(st.one_of(NAMES, st.just(b"q" * 63), st.just(b"q" * 64)))),
)
def test_many_cookies(fields: tuple[bytes, ...], names: set[bytes] | None) -> None:
    found = seek.Names(names).cookies(fields)
    assert found == lookup.Names(names).cookies(fields)
    assert all(values == sum((lookup.cookie_values(one, name) for one in fields), ()) for name, values in found.items())


@given(
    st.lists(
        st.one_of(st.sampled_from([b"%41", b"%", b"%4", b"%zz", b"%0a", b"%fF", b"+", b"&", b"=", b"a", b"?"]), st.binary(max_size=2)),
        max_size=12,
    ).map(b"".join)
)  # fmt: skip
def test_parameters(query: bytes) -> None:
    for target in (query, b"/p?" + query):
        assert seek.parameters(target) == lookup.parameters(target)
