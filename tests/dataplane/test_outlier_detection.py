"""Leaving a failing endpoint alone. H60."""

from canaryproxy.dataplane.outlier_detection import (
    FAILURES_TO_EJECT,
    MAX_EJECTION_SECONDS,
    MIN_EJECTION_SECONDS,
    OutlierDetector,
)


def failing(record: OutlierDetector, now: float, *, last: bool = False) -> int:
    """How many failures in a row until it is ejected."""
    for count in range(1, 10):
        if record.failed(now, last=last):
            return count
    return 0


def test_three_failures_in_a_row_eject_and_a_success_in_between_does_not() -> None:
    record = OutlierDetector()
    for _ in range(5):
        assert not record.failed(0.0, last=False)
        assert not record.failed(0.0, last=False)
        record.succeeded()
    assert failing(record, 0.0) == FAILURES_TO_EJECT
    assert record.active
    assert not record.failed(0.0, last=False)


def test_it_comes_back_on_probation_and_stays_away_twice_as_long_the_next_time() -> None:
    record, now = OutlierDetector(), 0.0
    failing(record, now)
    for times in range(1, 8):
        record.sweep(now + min(MIN_EJECTION_SECONDS * 2 ** (times - 1), MAX_EJECTION_SECONDS) - 0.01)
        assert record.active
        now += min(MIN_EJECTION_SECONDS * 2 ** (times - 1), MAX_EJECTION_SECONDS)
        record.sweep(now)
        assert not record.active
        assert failing(record, now) == 1
    record.sweep(now + MAX_EJECTION_SECONDS)
    record.succeeded()
    assert failing(record, now) == FAILURES_TO_EJECT
    record.sweep(now + MIN_EJECTION_SECONDS)
    assert not record.active


def test_the_last_endpoint_is_never_ejected() -> None:
    record = OutlierDetector()
    assert failing(record, 0.0, last=True) == 0
    assert not record.active
    assert failing(record, 0.0) == 1
