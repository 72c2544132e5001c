"""Clients of all workers, counted in shared memory."""

from canaryproxy.proxy.headcount import WORD, Headcount


def test_every_worker_sees_the_sum_and_a_successor_begins_at_nothing() -> None:
    shared = bytearray(2 * WORD)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    one.report(3)
    other.report(4)
    assert (one.total, other.total) == (7, 7)
    assert "7" in repr(one)
    assert Headcount(shared, 1).total == 3
