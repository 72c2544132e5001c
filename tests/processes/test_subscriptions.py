"""Who hears of what."""

import pytest

from canaryproxy.processes.subscriptions import Subscription


def test_all_hear_everything_in_the_order_in_which_they_subscribed() -> None:
    numbers: Subscription[int] = Subscription()
    heard: list[tuple[str, int]] = []
    numbers.publish(0)
    numbers.subscribe(lambda number: heard.append(("a", number)))
    numbers.subscribe(lambda number: heard.append(("b", number)))
    for number in (1, 2):
        numbers.publish(number)
    assert heard == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_who_publishes_hears_of_what_goes_wrong() -> None:
    def divide(number: int) -> None:
        _ = 1 // number

    numbers: Subscription[int] = Subscription()
    numbers.subscribe(divide)
    with pytest.raises(ZeroDivisionError):
        numbers.publish(0)
