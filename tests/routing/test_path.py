"""Paths as they are matched; the forwarded bytes are never changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.path import normalise


@pytest.mark.parametrize(
    ("path", "matched"),
    [
        (b"/", b"/"), (b"/a/b", b"/a/b"), (b"/a//b", b"/a/b"), (b"//a", b"/a"), (b"/a/./b", b"/a/b"),
        (b"/a/../b", b"/b"), (b"/../../a", b"/a"), (b"/a/..", b"/"), (b"/a/.", b"/a/"), (b"/%61", b"/a"),
        (b"/%7Euser", b"/~user"), (b"/a%2fb", b"/a%2Fb"), (b"/%2e%2e/admin", b"/admin"), (b"/%252e", b"/%252e"),
        (b"/a;v=1", b"/a;v=1"), (b"/%zz", b"/%25zz"), (b"/.well-known", b"/.well-known"), (b"/...", b"/..."),
    ],
)  # fmt: skip
def test_equivalent_spellings_are_matched_alike(path: bytes, matched: bytes) -> None:
    """H41."""
    assert normalise(path) == matched


@given(st.binary(max_size=30).map(lambda tail: b"/" + tail))
def test_normalising_twice_changes_nothing_more(path: bytes) -> None:
    once = normalise(path)
    assert once.startswith(b"/")
    assert normalise(once) == once
