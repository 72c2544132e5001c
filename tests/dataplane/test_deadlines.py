"""The version's clock: what counts as its own time."""

import math

from canaryproxy.dataplane.deadlines import NEVER, Deadlines


def begun(now: float = 100.0) -> Deadlines:
    deadlines = Deadlines()
    deadlines.begin(now)
    return deadlines


def test_nothing_is_due_when_a_request_begins() -> None:
    deadlines = begun()
    assert deadlines.at == NEVER == math.inf
    assert deadlines.undisturbed()
    assert deadlines.latency(100.5) == 0.5


def test_the_opening_of_a_connection_is_not_the_versions_time() -> None:
    deadlines = begun()
    assert deadlines.opened(100.25) == 0.25
    assert deadlines.latency(101.0) == 0.75
    assert not deadlines.undisturbed()


def test_a_client_that_does_not_read_takes_nothing_of_the_versions_time() -> None:
    deadlines = begun()
    deadlines.at = 130.0
    deadlines.pause(101.0)
    assert (deadlines.at, deadlines.paused_at) == (NEVER, 101.0)
    deadlines.resume(103.0)
    assert deadlines.latency(104.0) == 2.0
    assert not deadlines.paused_at


def test_another_attempt_has_its_own_time_and_connections_add_up() -> None:
    deadlines = begun()
    deadlines.opened(101.0)
    deadlines.try_again(102.0)
    assert deadlines.latency(102.5) == 0.5
    deadlines.opened(104.0)
    assert (deadlines.opening, deadlines.started) == (3.0, 100.0)
    assert not deadlines.undisturbed()
