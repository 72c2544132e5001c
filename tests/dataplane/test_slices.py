"""Work that a flood makes long, in slices."""

from collections.abc import Callable

import pytest

from canaryproxy.dataplane import slices
from canaryproxy.dataplane.slices import Slices


class Turns:
    """A loop whose turns a test makes."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.attended = 0

    def attend(self) -> None:
        self.attended += 1

    def slices(self) -> Slices:
        return Slices(self.later.append, self.attend)

    def turn(self) -> None:
        now, self.later[:] = list(self.later), []
        for call in now:
            call()


def test_short_work_is_done_at_once_and_others_are_served_in_between() -> None:
    turns, done = Turns(), list[int]()
    turns.slices().add(lambda number=number: done.append(number) for number in range(3))  # type: ignore[misc]
    assert done == [0, 1, 2]
    assert turns.attended == 3
    assert not turns.later


def test_long_work_takes_a_turn_of_the_loop_for_each_slice_and_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", -1.0)
    turns, done = Turns(), list[int]()
    made = turns.slices()
    made.add([lambda: done.append(0), lambda: done.append(1)])
    made.add([lambda: done.append(2)])
    assert done == [0]
    assert len(turns.later) == 1
    turns.turn()
    assert done == [0, 1]
    turns.turn()
    assert done == [0, 1, 2]
    assert not turns.later


def test_a_job_that_fails_keeps_no_other_from_being_done() -> None:
    turns, done = Turns(), list[int]()
    made = turns.slices()

    def fail() -> None:
        raise RuntimeError("a job")

    with pytest.raises(RuntimeError):
        made.add([fail, lambda: done.append(1)])
    turns.turn()
    assert done == [1]
    made.add([lambda: done.append(2)])
    assert done == [1, 2]


def test_jobs_that_a_job_adds_come_after_those_that_wait() -> None:
    turns, done = Turns(), list[int]()
    made = turns.slices()
    made.add([lambda: made.add([lambda: done.append(2)]), lambda: done.append(1)])
    assert done == [1, 2]


def test_nothing_is_done_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", -1.0)
    turns, done = Turns(), list[int]()
    made = turns.slices()
    made.add([lambda: done.append(0), lambda: done.append(1)])
    made.close()
    turns.turn()
    assert done == [0]
