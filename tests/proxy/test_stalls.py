"""Clients that move next to nothing. On real sockets: test_admission.py."""

import weakref

from canaryproxy.proxy.stalls import LEAST_RATE, PERIOD, Stalls


class Client:
    """A connection as a test sets it."""

    def __init__(self) -> None:
        self.slow: object | None = None
        self.doing: object | None = "an answer"
        self.moved = 0

    def turn(self) -> tuple[object, int] | None:
        return None if self.doing is None else (self.doing, self.moved)


def test_one_that_moves_less_than_the_least_is_slow_in_what_it_does() -> None:
    stalls, client = Stalls(), Client()
    assert not stalls.look(client, 0)
    client.moved = int(LEAST_RATE * PERIOD) - 1
    assert not stalls.look(client, PERIOD - 0.1)
    assert stalls.look(client, PERIOD)
    assert client.slow == "an answer"
    assert stalls.look(client, PERIOD + 0.25)
    client.moved += int(LEAST_RATE * PERIOD)
    assert not stalls.look(client, 2 * PERIOD)
    assert client.slow is None


def test_what_begins_later_has_its_own_time() -> None:
    stalls, client = Stalls(), Client()
    stalls.look(client, 0)
    assert stalls.look(client, PERIOD)
    client.doing = "another answer"
    assert not stalls.look(client, PERIOD + 1)
    assert client.slow is None
    assert stalls.look(client, 2 * PERIOD + 1)


def test_who_waits_for_us_is_never_slow() -> None:
    stalls, client = Stalls(), Client()
    stalls.look(client, 0)
    assert stalls.look(client, PERIOD)
    client.doing = None
    assert not stalls.look(client, 2 * PERIOD)
    assert client.slow is None
    assert not stalls.look(client, 3 * PERIOD)
    gone = weakref.ref(client)
    del client
    assert gone() is None, "nothing of it is kept"


def test_when_there_is_room_again_nobody_is_slow() -> None:
    stalls, client = Stalls(), Client()
    stalls.look(client, 0)
    assert stalls.look(client, PERIOD)
    stalls.clear()
    assert client.slow is None
    stalls.forget(client)
