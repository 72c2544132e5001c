"""A canary with all of the traffic, held against what stable was like."""

from canaryproxy.analysis.spec import ErrorSpec, HardLimitSpec
from canaryproxy.analysis.uncontrolled import BASELINE_LOOKS, MOST, StableBaseline, Uncontrolled


def known(ended: int = 100, failed: int = 0, looks: int = 100) -> StableBaseline:
    stable = StableBaseline()
    for _ in range(looks):
        stable.update(ended, failed)
    return stable


def test_stables_last_ten_minutes_of_traffic_are_remembered() -> None:
    stable = known(10, 1, 2 * BASELINE_LOOKS)
    stable.update(0, 0)
    assert (stable.ended, stable.failed, stable.rate) == (10 * BASELINE_LOOKS, BASELINE_LOOKS, 0.1)
    assert StableBaseline().rate == 0


def test_one_that_fails_as_stable_did_is_not_suspicious() -> None:
    alone = Uncontrolled(ErrorSpec(), HardLimitSpec(), known(100, 1))
    for _ in range(600):
        alone.update(100, 1)
    assert alone.suspicion == ""


def test_one_that_fails_three_times_as_often_is() -> None:
    alone = Uncontrolled(ErrorSpec(), HardLimitSpec(), known(100, 1))
    looks = 0
    while not alone.suspicion:
        alone.update(100, 3)
        looks += 1
    assert looks < 30
    assert alone.suspicion.startswith(
        f"canary failed {3 * looks} of {100 * looks:,} requests with all of the traffic, stable 1 %"
    )


def test_half_of_its_last_requests_is_enough_unless_stable_was_like_that() -> None:
    alone = Uncontrolled(ErrorSpec(), HardLimitSpec(), known(100, 1))
    alone.update(20, 12)
    assert alone.suspicion
    same = Uncontrolled(ErrorSpec(), HardLimitSpec(), known(100, 50))
    same.update(20, 12)
    assert same.suspicion == ""
    assert Uncontrolled(ErrorSpec(), None, known(100, 50)).suspicion == ""


def test_without_any_stable_the_floor_is_what_counts() -> None:
    alone = Uncontrolled(ErrorSpec(floor=0.0), None, StableBaseline())
    for _ in range(10):
        alone.update(100, 0)
        assert alone.suspicion == ""
    alone.update(100, 40)
    assert alone.suspicion
    assert Uncontrolled(ErrorSpec(), None, known(10, 10)).snapshot()["bound"] == MOST
