"""Clients that move next to nothing. On real sockets: test_admission.py."""

import weakref

from canaryproxy.dataplane.slow_clients import MIN_BYTES_PER_SECOND, PERIOD_SECONDS, SlowClients


class Client:
    """A connection as a test sets it."""

    def __init__(self) -> None:
        self.slow: object | None = None
        self.doing: object | None = "an answer"
        self.moved = 0

    def progress_mark(self) -> tuple[object, int] | None:
        return None if self.doing is None else (self.doing, self.moved)


def test_one_that_moves_less_than_the_least_is_slow_in_what_it_does() -> None:
    stalls, client = SlowClients(), Client()
    assert not stalls.check(client, 0)
    client.moved = int(MIN_BYTES_PER_SECOND * PERIOD_SECONDS) - 1
    assert not stalls.check(client, PERIOD_SECONDS - 0.1)
    assert stalls.check(client, PERIOD_SECONDS)
    assert client.slow == "an answer"
    assert stalls.check(client, PERIOD_SECONDS + 0.25)
    client.moved += int(MIN_BYTES_PER_SECOND * PERIOD_SECONDS)
    assert not stalls.check(client, 2 * PERIOD_SECONDS)
    assert client.slow is None


def test_what_begins_later_has_its_own_time() -> None:
    stalls, client = SlowClients(), Client()
    stalls.check(client, 0)
    assert stalls.check(client, PERIOD_SECONDS)
    client.doing = "another answer"
    assert not stalls.check(client, PERIOD_SECONDS + 1)
    assert client.slow is None
    assert stalls.check(client, 2 * PERIOD_SECONDS + 1)


def test_who_waits_for_us_is_never_slow() -> None:
    stalls, client = SlowClients(), Client()
    stalls.check(client, 0)
    assert stalls.check(client, PERIOD_SECONDS)
    client.doing = None
    assert not stalls.check(client, 2 * PERIOD_SECONDS)
    assert client.slow is None
    assert not stalls.check(client, 3 * PERIOD_SECONDS)
    gone = weakref.ref(client)
    del client
    assert gone() is None, "nothing of it is kept"


def test_when_there_is_room_again_no_one_is_slow() -> None:
    stalls, client = SlowClients(), Client()
    stalls.check(client, 0)
    assert stalls.check(client, PERIOD_SECONDS)
    stalls.clear()
    assert client.slow is None
    stalls.forget(client)
