"""Clients of all workers, counted in shared memory."""

from canaryproxy.proxy.headcount import Headcount, fresh, size


def memory(workers: int) -> bytearray:
    begun = fresh(workers)
    return bytearray(begun + bytes(size(workers) - len(begun)))


def test_every_worker_sees_the_sum_and_a_successor_begins_at_nothing() -> None:
    shared = memory(2)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    one.report(3)
    other.report(4)
    assert (one.total, other.total) == (7, 7)
    assert Headcount(shared, 1).total == 3


def test_a_worker_is_ahead_with_more_than_a_fair_share_and_one() -> None:
    shared = memory(4)
    workers = [Headcount(shared, slot) for slot in range(4)]
    assert not workers[0].ahead(1)
    assert workers[0].ahead(2)
    for one, here in zip(workers, (12, 10, 9, 9), strict=True):
        one.report(here)
    assert [one.ahead(0) for one in workers] == [True, False, False, False]
    assert not Headcount().ahead(100)


def test_a_worker_that_claims_everything_does_not_keep_others_from_their_share() -> None:
    shared = memory(2)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    other.report(2**32 - 1)
    assert one.total > 10_000
    assert one.fair(10_000) == 4_375
    assert (Headcount().fair(8), Headcount(memory(2)).fair(1)) == (7, 0)


def test_clients_of_an_address_are_counted_over_all_workers_and_a_successor_begins_at_none() -> None:
    shared = memory(3)
    one, two, three = (Headcount(shared, slot) for slot in range(3))
    for _ in range(5):
        two.tally("192.0.2.1", 1)
    three.tally("192.0.2.1", 1)
    three.tally("192.0.2.2", 1)
    two.tally("192.0.2.1", -1)
    assert one.elsewhere("192.0.2.1") == 5
    assert three.elsewhere("192.0.2.1") == 4
    assert one.elsewhere("192.0.2.2") == 1
    assert one.elsewhere("192.0.2.3") == 0
    Headcount(shared, 1).begin_tally()
    assert one.elsewhere("192.0.2.1") == 1
    assert Headcount().elsewhere("192.0.2.1") == 0


def test_ten_thousand_addresses_hardly_ever_hide_each_other() -> None:
    shared = memory(2)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    for number in range(10_000):
        other.tally(f"10.0.{number >> 8}.{number & 255}", 1)
    found = [one.elsewhere(f"10.0.{number >> 8}.{number & 255}") for number in range(10_000)]
    assert min(found) == 1
    assert sum(count > 1 for count in found) < 1_500
    assert max(found) < 5


def test_a_count_never_wraps() -> None:
    shared = memory(2)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    one.tally("a", -1)
    assert other.elsewhere("a") == 0


def test_a_worker_learns_whether_others_have_clients_to_spare() -> None:
    shared = memory(2)
    one, other = Headcount(shared, 0), Headcount(shared, 1)
    one.report_spare(3)
    assert (one.spare_elsewhere, other.spare_elsewhere) == (False, True)
    assert not Headcount(shared, 0).spare_elsewhere
    assert not other.spare_elsewhere
