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


def test_a_worker_is_ahead_with_more_than_a_fair_share_and_one() -> None:
    shared = bytearray(4 * WORD)
    workers = [Headcount(shared, slot) for slot in range(4)]
    assert not workers[0].ahead(1)
    assert workers[0].ahead(2)
    for one, here in zip(workers, (12, 10, 9, 9), strict=True):
        one.report(here)
    assert [one.ahead(0) for one in workers] == [True, False, False, False]
    assert not Headcount().ahead(100)
