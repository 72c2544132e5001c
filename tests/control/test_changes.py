"""What changes come to is plain data."""

from canaryproxy.control.changes import Changed, Reload


def test_a_reload_that_did_nothing_says_nothing_else() -> None:
    reload = Reload(3)
    assert (reload.changed, reload.restart, reload.problem, reload.others, dict(reload.begun)) == (
        False, False, "", frozenset(), {},
    )  # fmt: skip
    assert Changed(2, 7) == Changed(2, 7)
