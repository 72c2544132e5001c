"""Clients of all workers, counted in shared memory."""

from canaryproxy.dataplane.connection_count import SharedConnectionCount, initial_memory, memory_size


def memory(workers: int) -> bytearray:
    begun = initial_memory(workers)
    return bytearray(begun + bytes(memory_size(workers) - len(begun)))


def test_every_worker_sees_the_sum_and_a_successor_begins_at_nothing() -> None:
    shared = memory(2)
    one, other = SharedConnectionCount(shared, 0), SharedConnectionCount(shared, 1)
    one.report(3)
    other.report(4)
    assert (one.total, other.total) == (7, 7)
    assert SharedConnectionCount(shared, 1).total == 3


def test_a_worker_is_ahead_with_more_than_a_fair_share_and_one() -> None:
    shared = memory(4)
    workers = [SharedConnectionCount(shared, slot) for slot in range(4)]
    assert not workers[0].above_fair_share(1)
    assert workers[0].above_fair_share(2)
    for one, here in zip(workers, (12, 10, 9, 9), strict=True):
        one.report(here)
    assert [one.above_fair_share(0) for one in workers] == [True, False, False, False]
    assert not SharedConnectionCount().above_fair_share(100)


def test_a_worker_that_claims_everything_does_not_keep_others_from_their_share() -> None:
    shared = memory(2)
    one, other = SharedConnectionCount(shared, 0), SharedConnectionCount(shared, 1)
    other.report(2**32 - 1)
    assert one.total > 10_000
    assert one.fair_share(10_000) == 4_375
    assert (SharedConnectionCount().fair_share(8), SharedConnectionCount(memory(2)).fair_share(1)) == (7, 0)


def test_clients_of_an_address_are_counted_over_all_workers_and_a_successor_begins_at_none() -> None:
    shared = memory(3)
    one, two, three = (SharedConnectionCount(shared, slot) for slot in range(3))
    for _ in range(5):
        two.add_address("192.0.2.1", 1)
    three.add_address("192.0.2.1", 1)
    three.add_address("192.0.2.2", 1)
    two.add_address("192.0.2.1", -1)
    assert one.address_count_elsewhere("192.0.2.1") == 5
    assert three.address_count_elsewhere("192.0.2.1") == 4
    assert one.address_count_elsewhere("192.0.2.2") == 1
    assert one.address_count_elsewhere("192.0.2.3") == 0
    SharedConnectionCount(shared, 1).clear_sketch()
    assert one.address_count_elsewhere("192.0.2.1") == 1
    assert SharedConnectionCount().address_count_elsewhere("192.0.2.1") == 0


def test_ten_thousand_addresses_hardly_ever_hide_each_other() -> None:
    shared = memory(2)
    one, other = SharedConnectionCount(shared, 0), SharedConnectionCount(shared, 1)
    for number in range(10_000):
        other.add_address(f"10.0.{number >> 8}.{number & 255}", 1)
    found = [one.address_count_elsewhere(f"10.0.{number >> 8}.{number & 255}") for number in range(10_000)]
    assert min(found) == 1
    assert sum(count > 1 for count in found) < 1_500
    assert max(found) < 5


def test_a_count_never_wraps() -> None:
    shared = memory(2)
    one, other = SharedConnectionCount(shared, 0), SharedConnectionCount(shared, 1)
    one.add_address("a", -1)
    assert other.address_count_elsewhere("a") == 0


def test_a_worker_learns_whether_others_have_clients_to_spare() -> None:
    shared = memory(2)
    one, other = SharedConnectionCount(shared, 0), SharedConnectionCount(shared, 1)
    one.report_evictable(3)
    assert (one.evictable_elsewhere, other.evictable_elsewhere) == (False, True)
    assert not SharedConnectionCount(shared, 0).evictable_elsewhere
    assert not other.evictable_elsewhere
