"""The broadcast: everybody hears, nobody holds up the others."""

from canaryproxy.control.events import LISTENERS, WAITING, Events


def test_listeners_hear_what_happens_from_then_on() -> None:
    events = Events()
    events.tell("weight", 1.0, "shop", weight=5)
    queue = events.listen()
    assert queue is not None
    events.tell("weight", 2.0, "shop", weight=6)
    event = queue.get_nowait()
    assert event is not None
    assert (event.number, event.kind, event.at, event.route, event.detail) == (2, "weight", 2.0, "shop", {"weight": 6})
    events.leave(queue)
    events.tell("weight", 3.0, "shop")
    assert queue.empty()
    assert "3, 0 listeners" in repr(events)


def test_one_that_does_not_keep_up_is_ended_and_the_others_go_on() -> None:
    events = Events()
    slow, quick = events.listen(), events.listen()
    assert slow is not None
    assert quick is not None
    for _ in range(WAITING + 2):
        events.tell("health", 1.0)
        quick.get_nowait()
    assert slow.qsize() == WAITING + 1
    assert [slow.get_nowait() for _ in range(WAITING + 1)][-1] is None


def test_there_is_room_for_a_number_of_listeners_and_an_end_for_all() -> None:
    events = Events()
    queues = [events.listen() for _ in range(LISTENERS)]
    assert events.listen() is None
    events.close()
    assert all(queue is not None and queue.get_nowait() is None for queue in queues)
