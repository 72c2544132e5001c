"""Leaving a failing endpoint alone. H60."""

from canaryproxy.proxy.ejection import FAILURES, LONGEST, SHORTEST, Ejection


def failing(record: Ejection, now: float, *, last: bool = False) -> int:
    """How many failures in a row until it is ejected."""
    for count in range(1, 10):
        if record.failed(now, last=last):
            return count
    return 0


def test_three_failures_in_a_row_eject_and_a_success_in_between_does_not() -> None:
    record = Ejection()
    for _ in range(5):
        assert not record.failed(0.0, last=False)
        assert not record.failed(0.0, last=False)
        record.succeeded()
    assert failing(record, 0.0) == FAILURES
    assert record.active
    assert not record.failed(0.0, last=False)


def test_it_comes_back_on_probation_and_stays_away_twice_as_long_the_next_time() -> None:
    record, now = Ejection(), 0.0
    failing(record, now)
    for times in range(1, 8):
        record.sweep(now + min(SHORTEST * 2 ** (times - 1), LONGEST) - 0.01)
        assert record.active
        now += min(SHORTEST * 2 ** (times - 1), LONGEST)
        record.sweep(now)
        assert not record.active
        assert failing(record, now) == 1
    record.sweep(now + LONGEST)
    record.succeeded()
    assert failing(record, now) == FAILURES
    record.sweep(now + SHORTEST)
    assert not record.active


def test_the_last_endpoint_is_never_ejected() -> None:
    record = Ejection()
    assert failing(record, 0.0, last=True) == 0
    assert not record.active
    assert failing(record, 0.0) == 1
