"""The account of a worker's buffers: when it is tight, when a connection is closed, and when it is calm again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane.buffers import (
    LOW_WATER,
    PORTION,
    RELIEVED,
    SMALL_PORTION,
    UNLIMITED,
    WATER,
    Buffers,
)


def account(limit: int = 1000) -> tuple[Buffers, list[int]]:
    calls: list[int] = []
    buffers = Buffers(limit)
    buffers.crossed = lambda: calls.append(buffers.held)
    return buffers, calls


def test_below_seventy_percent_nothing_happens() -> None:
    buffers, calls = account()
    buffers.add(700)
    assert (buffers.tight, buffers.water, buffers.portion, calls) == (False, WATER, PORTION, [])


def test_above_seventy_percent_buffers_are_kept_smaller_at_once() -> None:
    buffers, calls = account()
    buffers.add(701)
    assert (buffers.tight, buffers.water, buffers.portion, calls) == (True, LOW_WATER, SMALL_PORTION, [])


def test_it_is_calm_again_only_when_half_of_it_is_free() -> None:
    buffers, _ = account()
    buffers.add(701)
    buffers.drop(200)
    buffers.sweep()
    assert buffers.tight
    buffers.drop(1)
    buffers.sweep()
    assert not buffers.tight
    assert (buffers.water, buffers.portion) == (WATER, PORTION)
    buffers.add(300)
    assert buffers.tight


def test_above_the_limit_a_connection_is_to_be_cut_and_that_is_said_once() -> None:
    buffers, calls = account()
    buffers.add(1001)
    buffers.add(500)
    assert calls == [1001]
    assert buffers.excess() == 1501 - int(1000 * RELIEVED)
    buffers.drop(1000)
    buffers.settle(3)
    assert (buffers.shed, buffers.refusing, buffers.excess()) == (3, False, 0)
    buffers.add(1000)
    assert calls == [1001, 1501]


def test_where_cutting_is_not_enough_nothing_new_is_begun() -> None:
    buffers, calls = account()
    buffers.add(1500)
    buffers.settle(0)
    assert buffers.refusing
    buffers.sweep()
    assert calls == [1500, 1500]
    buffers.drop(600)
    buffers.settle(0)
    buffers.sweep()
    assert not buffers.refusing
    assert buffers.tight


def test_memory_that_is_nearly_exhausted_makes_it_tight_whatever_is_counted() -> None:
    buffers, calls = account()
    buffers.add(400)
    buffers.set_pressure(0.86)
    buffers.sweep()
    assert (buffers.tight, buffers.pressed, buffers.refusing, calls) == (True, False, False, [])
    buffers.set_pressure(0.84)
    buffers.sweep()
    assert not buffers.tight


def test_memory_that_stays_critical_has_the_greatest_cut_and_then_nothing_new_begun() -> None:
    buffers, calls = account()
    buffers.add(400)
    buffers.set_pressure(0.96)
    assert (buffers.pressed, buffers.refusing, calls) == (True, False, [400])
    assert buffers.excess() == 400 - int(400 * RELIEVED)
    buffers.settle(1)
    buffers.set_pressure(0.96)
    assert buffers.refusing
    buffers.settle(1)
    assert buffers.refusing
    buffers.set_pressure(0.9)
    buffers.settle(0)
    buffers.sweep()
    assert (buffers.pressed, buffers.refusing, buffers.tight) == (True, False, True)
    buffers.set_pressure(0.5)
    buffers.sweep()
    assert (buffers.pressed, buffers.tight) == (False, False)


def test_without_a_limit_it_is_never_tight() -> None:
    buffers = Buffers()
    buffers.add(UNLIMITED // 2)
    buffers.sweep()
    assert not buffers.tight
    buffers.crossed()


@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "settle", "sweep", "press"]), st.integers(0, 2000))))
def test_above_the_limit_connections_are_cut_and_below_it_none(steps: list[tuple[str, int]]) -> None:
    buffers, calls = account()
    for what, size in steps:
        if what == "settle":
            buffers.settle(0)
        elif what == "sweep":
            buffers.sweep()
        elif what == "press":
            buffers.set_pressure(size / 2000)
        elif what == "add":
            buffers.add(size)
        else:
            buffers.drop(min(size, buffers.held))
        assert buffers.tight or buffers.held <= buffers.limit * 0.7
    before = len(calls)
    buffers.set_pressure(0.0)
    buffers.settle(0)
    buffers.add(buffers.limit)
    buffers.sweep()
    assert buffers.held <= buffers.limit or len(calls) > before
    buffers.settle(0)
    buffers.drop(buffers.held)
    buffers.sweep()
    assert (buffers.tight, buffers.refusing) == (False, False)


@pytest.mark.parametrize(("held", "tight"), [(0, False), (800, True), (1200, True)])
def test_it_is_tight_from_seven_tenths_on(held: int, tight: bool) -> None:
    buffers, _ = account()
    buffers.add(held)
    assert (buffers.held, buffers.limit, buffers.tight) == (held, 1000, tight)
