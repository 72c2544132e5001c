"""What changes come to is plain data."""

import pytest

from canaryproxy.control.results import MAX_LOGGED, Changed, Reload, say_refused


def test_a_reload_that_did_nothing_says_nothing_else() -> None:
    reload = Reload(3)
    assert (reload.changed, reload.restart, reload.problem, reload.others, dict(reload.begun)) == (
        False,
        False,
        "",
        frozenset(),
        {},
    )
    assert Changed(2, 7) == Changed(2, 7)


def test_every_problem_is_a_line_and_not_more_than_a_few(caplog: pytest.LogCaptureFixture) -> None:
    say_refused(Reload(7, problem="f:1:1: a\nf:2:1: b"))
    assert caplog.messages == ["the config was not applied; generation 7 stays active", "f:1:1: a", "f:2:1: b"]
    caplog.clear()
    say_refused(Reload(7, problem="\n".join(map(str, range(1_000)))))
    assert len(caplog.messages) == MAX_LOGGED + 2
    assert caplog.messages[-1] == f"{1_000 - MAX_LOGGED} more problems; `canaryproxy check` shows them"
