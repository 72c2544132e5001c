"""Names of fields."""

from canaryproxy.model.fields import FORWARDING, FROM_TRUSTED, HOP_BY_HOP, PROTECTED, UNMATCHED, named_by


def test_connection_names_ordinary_fields_alone() -> None:
    assert named_by([b"close, X-Debug", b"Cookie,,host ,x-b"]) == {b"x-debug", b"x-b"}
    assert named_by([]) == set()


def test_the_lists_fit_together() -> None:
    assert set(FROM_TRUSTED) < set(FORWARDING)
    assert {*FORWARDING, *HOP_BY_HOP} < PROTECTED
    assert set(HOP_BY_HOP) < UNMATCHED
    assert all(name == name.lower() for name in (*FORWARDING, *HOP_BY_HOP, *PROTECTED))
