"""A canary with all of the traffic, held against what stable was like."""

from canaryproxy.analysis.alone import MINUTES, MOST, Alone, Stable
from canaryproxy.analysis.spec import Errors, HardLimit


def known(ended: int = 100, failed: int = 0, looks: int = 100) -> Stable:
    stable = Stable()
    for _ in range(looks):
        stable.look(ended, failed)
    return stable


def test_stables_last_ten_minutes_of_traffic_are_remembered() -> None:
    stable = known(10, 1, 2 * MINUTES)
    stable.look(0, 0)
    assert (stable.ended, stable.failed, stable.rate) == (10 * MINUTES, MINUTES, 0.1)
    assert Stable().rate == 0


def test_one_that_fails_as_stable_did_is_not_suspicious() -> None:
    alone = Alone(Errors(), HardLimit(), known(100, 1))
    for _ in range(600):
        alone.look(100, 1)
    assert alone.suspicion == ""


def test_one_that_fails_three_times_as_often_is() -> None:
    alone = Alone(Errors(), HardLimit(), known(100, 1))
    looks = 0
    while not alone.suspicion:
        alone.look(100, 3)
        looks += 1
    assert looks < 30
    assert alone.suspicion.startswith(
        f"canary failed {3 * looks} of {100 * looks:,} requests with all of the traffic, stable 1 %"
    )


def test_half_of_its_last_requests_is_enough_unless_stable_was_like_that() -> None:
    alone = Alone(Errors(), HardLimit(), known(100, 1))
    alone.look(20, 12)
    assert alone.suspicion
    same = Alone(Errors(), HardLimit(), known(100, 50))
    same.look(20, 12)
    assert same.suspicion == ""
    assert Alone(Errors(), None, known(100, 50)).suspicion == ""


def test_without_any_stable_the_floor_is_what_counts() -> None:
    alone = Alone(Errors(floor=0.0), None, Stable())
    for _ in range(10):
        alone.look(100, 0)
        assert alone.suspicion == ""
    alone.look(100, 40)
    assert alone.suspicion
    assert Alone(Errors(), None, known(10, 10)).snapshot()["bound"] == MOST
