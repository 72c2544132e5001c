"""The broadcast: every subscriber gets every event, none delays another."""

from canaryproxy.control.events import MAX_SUBSCRIBERS, MAX_WAITING, EventBus, Queue


def test_listeners_hear_what_happens_from_then_on() -> None:
    events = EventBus(lambda: 2.0)
    events.publish("weight", "shop", weight=5)
    queue = events.subscribe()
    assert queue is not None
    events.publish("weight", "shop", weight=6)
    event = queue.get_nowait()
    assert event is not None
    assert (event.number, event.kind, event.at, event.route, event.detail) == (2, "weight", 2.0, "shop", {"weight": 6})
    events.unsubscribe(queue)
    events.publish("weight", "shop")
    assert queue.empty()
    assert (events.number, events.listeners) == (3, 0)


def test_one_that_does_not_keep_up_is_ended_and_the_others_go_on() -> None:
    events = EventBus(lambda: 2.0)
    slow, quick = events.subscribe(), events.subscribe()
    assert slow is not None
    assert quick is not None
    for _ in range(MAX_WAITING + 2):
        events.publish("health")
        quick.get_nowait()
    assert slow.qsize() == MAX_WAITING + 1
    assert [slow.get_nowait() for _ in range(MAX_WAITING + 1)][-1] is None


def test_there_is_room_for_a_number_of_listeners_and_an_end_for_all() -> None:
    events = EventBus(lambda: 2.0)
    queues = [events.subscribe() for _ in range(MAX_SUBSCRIBERS)]
    assert events.subscribe() is None
    events.close()
    assert all(queue is not None and queue.get_nowait() is None for queue in queues)


def listened(events: EventBus, address: str, owner: str = "", times: int = 1) -> list[Queue]:
    found = [events.subscribe(address, owner) for _ in range(times)]
    return [queue for queue in found if queue is not None]


def ended(queue: Queue) -> bool:
    return not queue.empty() and queue.get_nowait() is None


def test_an_address_and_a_token_have_half_of_the_places_each() -> None:
    events = EventBus(lambda: 2.0)
    assert len(listened(events, "10.0.0.1", "", MAX_SUBSCRIBERS)) == MAX_SUBSCRIBERS // 2
    assert len(listened(events, "10.0.0.2", "ci", MAX_SUBSCRIBERS)) == MAX_SUBSCRIBERS // 2
    events = EventBus(lambda: 2.0)
    for number in range(MAX_SUBSCRIBERS):
        events.subscribe(f"10.0.0.{number}", "ci")
    assert events.listeners == MAX_SUBSCRIBERS // 2
    assert events.subscribe("10.0.1.1", "other") is not None


def test_where_it_is_full_the_longest_lived_of_the_address_with_the_most_gives_way_to_another_address() -> None:
    events = EventBus(lambda: 2.0)
    one = listened(events, "10.0.0.1", "", MAX_SUBSCRIBERS // 2)
    two = listened(events, "10.0.0.2", "", MAX_SUBSCRIBERS // 2 - 1)
    events.subscribe("10.0.0.3")
    assert events.subscribe("10.0.0.4") is not None
    assert [ended(queue) for queue in one[:2]] == [True, False]
    assert not any(ended(queue) for queue in two)
    assert events.listeners == MAX_SUBSCRIBERS


def test_where_it_is_full_of_addresses_with_one_each_a_newcomer_is_refused() -> None:
    events = EventBus(lambda: 2.0)
    for number in range(MAX_SUBSCRIBERS):
        assert events.subscribe(f"10.0.0.{number}") is not None
    assert events.subscribe("10.0.1.1") is None
    assert events.subscribe("10.0.0.1") is None


def test_one_that_seems_not_to_read_gives_way_to_its_own_address_too() -> None:
    events = EventBus(lambda: 2.0)
    mine = listened(events, "10.0.0.1", "", MAX_SUBSCRIBERS)
    assert events.subscribe("10.0.0.1") is None
    events.lags(mine[3], lags=True)
    assert events.subscribe("10.0.0.1") is not None
    assert [ended(queue) for queue in mine[:5]] == [False, False, False, True, False]
    events.lags(mine[3], lags=True)
    assert events.subscribe("10.0.0.1") is None


def test_a_token_over_its_share_takes_no_place_of_another() -> None:
    events = EventBus(lambda: 2.0)
    listened(events, "10.0.0.1", "ci", MAX_SUBSCRIBERS // 2)
    other = listened(events, "10.0.0.2", "eyes", MAX_SUBSCRIBERS // 2)
    assert len(other) == MAX_SUBSCRIBERS // 2
    assert events.subscribe("10.0.0.3", "ci") is None
    assert not any(ended(queue) for queue in other)
