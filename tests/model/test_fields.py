"""Names of fields."""

import time

from canaryproxy.model.fields import FORWARDING, FROM_TRUSTED, HOP_BY_HOP, PROTECTED, UNMATCHED, list_items, named_by


def test_connection_names_ordinary_fields_alone() -> None:
    assert named_by([b"close, X-Debug", b"Cookie,,host ,x-b"]) == {b"x-debug", b"x-b"}
    assert named_by([]) == set()


def test_the_lists_fit_together() -> None:
    assert set(FROM_TRUSTED) < set(FORWARDING)
    assert {*FORWARDING, *HOP_BY_HOP} < PROTECTED
    assert set(HOP_BY_HOP) < UNMATCHED
    assert all(name == name.lower() for name in (*FORWARDING, *HOP_BY_HOP, *PROTECTED))


def test_items_are_what_stands_between_commas_without_white_space() -> None:
    assert list_items(b"a, b\t,,c d , ") == [b"a", b"b", b"", b"c d", b""]
    assert named_by([b"X-A , x-b", b"\tX-C\t"]) == {b"x-a", b"x-b", b"x-c"}


def test_a_long_run_of_white_space_is_read_once() -> None:
    """The attack: `Connection: a`, 60,000 spaces, `b` took 1.4 s, since every space was tried as the beginning of an end."""
    begun = time.process_time()
    assert len(list_items(b"a" + b" " * 1_000_000 + b"b")) == 1
    assert named_by([b"a" + b"\t" * 1_000_000 + b"b"]) != set()
    assert time.process_time() - begun < 1
