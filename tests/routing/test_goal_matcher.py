"""Goals: which requests and responses reach them. H74."""

import pytest

from canaryproxy.model.client import Client
from canaryproxy.model.goal import MAX_VALUE, Goal
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.rule import Condition
from canaryproxy.routing.goal_matcher import CompiledGoal, GoalMatcher, amount

CART = Goal("cart", (Condition("method", "in", ("POST",)), Condition("path", "exact", ("/cart",))))
REVENUE = Goal("revenue", header="x-order-value")
PAID = Goal("paid", (Condition("path", "prefix", ("/pay",)),), ((201, 201), (300, 399)))
CLIENT = Client("127.0.0.1", b"http", ())


def answer(status: int = 200, plain: bytes = b"") -> ResponseHead:
    head = ResponseHead(status)
    head.plain = plain
    return head


def reached(method: bytes, target: bytes, response: ResponseHead) -> list[tuple[str, float]]:
    return GoalMatcher((CART, REVENUE, PAID)).match(RequestHead(method, target), CLIENT, response)


@pytest.mark.parametrize(
    ("method", "target", "status", "names"),
    [
        (b"POST", b"/cart", 200, ["cart"]),
        (b"POST", b"/c%61rt?x=1", 303, ["cart"]),
        (b"GET", b"/cart", 200, []),
        (b"POST", b"/cart/1", 200, []),
        (b"POST", b"/cart", 500, []),
        (b"POST", b"/cart", 404, []),
        (b"POST", b"/pay/now", 201, ["paid"]),
        (b"POST", b"/pay", 302, ["paid"]),
        (b"POST", b"/pay", 200, []),
        (b"POST", b"/payments", 201, []),
    ],
)
def test_method_path_and_status_must_all_hold(method: bytes, target: bytes, status: int, names: list[str]) -> None:
    assert reached(method, target, answer(status)) == [(name, 1.0) for name in names]


def test_of_every_status_there_is_it_is_known_whether_it_counts() -> None:
    counted = CompiledGoal(PAID).statuses
    assert [status for status in range(100, 600) if counted[status]] == [201, *range(300, 400)]
    assert len(counted) == 600


def test_what_one_request_reached_is_not_reported_for_the_next() -> None:
    nothing = reached(b"GET", b"/", answer())
    assert reached(b"POST", b"/cart", answer(200, b"X-Order-Value: 5\r\n")) == [("cart", 1.0), ("revenue", 5.0)]
    assert nothing == reached(b"GET", b"/", answer()) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"19.99", 19.99),
        (b"0", 0.0),
        (b"007", 7.0),
        (b"1.123456", 1.123456),
        (b"9" * 30, MAX_VALUE),
        (b"", None),
        (b"-5", None),
        (b"+5", None),
        (b"1e9", None),
        (b"nan", None),
        (b"inf", None),
        (b"1,5", None),
        (b".5", None),
        (b"5.", None),
        (b"1.1234567", None),
        (b"1 2", None),
        (b"0x1f", None),
        (b"9" * 31, None),
        (b"\xd9\xa1", None),
        (b"5 EUR", None),
    ],
)
def test_a_value_is_digits_and_nothing_else_and_capped(text: bytes, value: float | None) -> None:
    head = answer(200, b"Server: x\r\nX-Order-Value: %b\r\n" % text)
    assert amount(head, b"x-order-value") == value
    assert reached(b"GET", b"/", head) == ([] if value is None else [("revenue", value)])


def test_a_value_in_a_special_field_is_found_too() -> None:
    head = answer()
    head.special = [(b"via", b"7"), (b"x", b"8")]
    assert (amount(head, b"via"), amount(head, b"y")) == (7.0, None)
    head.plain = b"Via: 1\r\n"
    assert amount(head, b"via") is None


def test_two_values_are_none() -> None:
    assert amount(answer(200, b"X-V: 1\r\nx-v: 2\r\n"), b"x-v") is None
    assert amount(answer(200, b"X-Vx: 1\r\n"), b"x-v") is None


def test_a_goal_that_is_reported_is_not_looked_for() -> None:
    goals = GoalMatcher((Goal("sold", reported=True),))
    assert not goals
    assert goals.match(RequestHead(b"GET", b"/"), CLIENT, answer()) == []
