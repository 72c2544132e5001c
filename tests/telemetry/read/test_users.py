"""Users of versions: in any stretch of time, in a step, by goal."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.report import Delta, GoalDelta, UsersDelta
from canaryproxy.telemetry.read.users import (
    MAX_WINDOW_SECONDS,
    FirstSeen,
    NewUsers,
    SlidingCount,
    UserCount,
    UserRegistry,
    WeightPeriod,
)
from canaryproxy.telemetry.record.distinct_users import DistinctUsers

SIDE = ("shop", "canary")


def delta(at: float, *seen: int, failed: tuple[int, ...] = (), version: str = "canary", weight: int = 500) -> Delta:
    return Delta(1, at, users=(UsersDelta("shop", version, weight, 0, frozenset(seen), frozenset(failed)),))


def book(*deltas: Delta, weight: int = 500) -> UserRegistry:
    made = UserRegistry()
    for one in deltas:
        made.add(one, lambda _: weight)
    return made


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=100), st.integers(1, 80))
def test_who_was_here_in_a_stretch_counts_once_whenever_it_ends(visits: list[tuple[int, int]], window: int) -> None:
    recent, now = SlidingCount(), 0
    last: dict[int, int] = {}
    for pause, user in visits:
        now += pause
        recent.merge([user], 0, now + 0.5)
        last[user] = now
    assert recent.kept(now + 0.7, window) == sum(now - window < at for at in last.values())
    assert all(recent.last(user) in (at, -1) for user, at in last.items())


def test_users_are_forgotten_after_an_hour() -> None:
    recent = SlidingCount()
    recent.merge(range(2**63, 2**63 + 10), 0, 1.0)
    recent.merge([2**63], 0, MAX_WINDOW_SECONDS + 5.0)
    assert recent.kept(MAX_WINDOW_SECONDS + 5.0, MAX_WINDOW_SECONDS) == 1
    assert recent.last(2**63 + 1) == -1


def test_a_great_crowd_is_sampled_and_its_share_that_failed_alike() -> None:
    rng = random.Random(3)
    users = [rng.getrandbits(64) for _ in range(20_000)]
    seen, failed = SlidingCount(1_000), SlidingCount(1_000)
    for start in range(0, len(users), 1_000):
        seen.merge(users[start : start + 1_000], 0, 5.0)
        failed.merge(users[start : start + 100], 0, 5.0)
    assert seen.kept(5.0, 60) <= 1_000
    assert seen.kept(5.0, 60) << seen.level == pytest.approx(20_000, rel=0.15)
    assert failed.kept(5.0, 60) << failed.level == pytest.approx(2_000, rel=0.2)


def test_reports_of_several_workers_meet_in_one_count() -> None:
    data = book(delta(10.0, 1, 2), delta(11.0, 2, 3, failed=(3,)), delta(11.0, 9, version="stable"))
    assert data.seen(SIDE, 12.0, 60) == UserCount(3, 0.0)
    assert data.failed(SIDE, 12.0, 60) == UserCount(1, 0.0)
    assert data.seen(("shop", "stable"), 12.0, 60).count == 1
    assert data.seen(SIDE, 75.0, 60).count == 0
    assert data.seen(("blog", "canary"), 12.0, 60) == UserCount()


def test_a_step_starts_over_with_another_weight() -> None:
    data = book(delta(10.0, 1, 2, failed=(1,)))
    assert (
        len(data.weight_period("shop", 500, 11.0).seen["canary"]),
        len(data.weight_period("shop", 500, 11.0).failed["canary"]),
    ) == (
        2,
        1,
    )
    data.add(delta(12.0, 5, 6, 7, weight=1_000), lambda _: 1_000)
    step = data.weight_period("shop", 1_000, 20.0)
    assert (step.since, len(step.seen["canary"])) == (12.0, 3)
    data.add(delta(13.0, 8, weight=500), lambda _: 1_000)
    assert len(data.weight_period("shop", 1_000, 20.0).seen["canary"]) == 3
    assert data.weight_period("shop", 0, 21.0).seen == {}


def test_a_failure_of_an_earlier_step_is_not_one_of_this() -> None:
    data = book(delta(10.0, 1, failed=(1, 2)))
    assert set(data.weight_period("shop", 500, 10.0).failed["canary"].users()) == {1}


def test_a_route_that_is_gone_is_forgotten() -> None:
    data = book(delta(10.0, 1))
    data.goal_reached(("shop", "canary", "buy"), {1: 1.0}, 0, 10.0)
    data.retain({"blog"})
    assert (data.seen(SIDE, 10.0, 60), data.reached(("shop", "canary", "buy"), 10.0, 60)) == (UserCount(), UserCount())
    gone = UserRegistry()
    gone.add(delta(10.0, 1), lambda _: None)
    assert (gone.seen(SIDE, 10.0, 60).count, gone.weight_period("shop", 500, 12.0).since) == (1, 12.0)


def test_a_user_has_a_goal_once() -> None:
    goal = GoalDelta("shop", "canary", "buy", True, 3, 3.0, {-1: 3}, 0, {1: 2.0, 2: 1.0})
    data = book(Delta(1, 10.0, goals=(goal,)), Delta(1, 11.0, goals=(goal,)))
    assert data.reached(("shop", "canary", "buy"), 11.0, 60) == UserCount(2, 0.0)


def test_a_user_belongs_to_the_version_that_had_them_last() -> None:
    data = book(delta(10.0, 1, version="stable"), delta(12.0, 1, 2))
    assert [data.version_of("shop", user) for user in (1, 2, 3)] == ["canary", "canary", None]
    data.add(delta(20.0, 2, version="stable"), lambda _: 500)
    assert data.version_of("shop", 2) == "stable"
    assert data.version_of("blog", 2) is None


def test_news_of_a_step_are_those_it_had_not_met() -> None:
    data = UserRegistry()
    (first,) = data.add(delta(10.0, 1, 2, failed=(2,)), lambda _: 500)
    (second,) = data.add(delta(11.0, 2, 3, failed=(2, 3)), lambda _: 500)
    assert first == NewUsers("shop", "canary", (1, 2), (2,))
    assert second == NewUsers("shop", "canary", (3,), (3,))


def test_first_events_of_a_step_are_those_of_users_it_saw() -> None:
    goal = GoalDelta("shop", "canary", "buy", True, 2, 5.0, {}, 0, {1: 2.0, 9: 3.0})
    data = book(delta(10.0, 1, 2))
    assert data.add(Delta(1, 11.0, goals=(goal,)), lambda _: 500) == [FirstSeen("shop", "canary", "buy", (2.0,))]
    assert data.add(Delta(1, 12.0, goals=(goal,)), lambda _: 500) == [FirstSeen("shop", "canary", "buy", ())]


def test_a_step_with_too_many_users_goes_on_with_a_sample() -> None:
    step = WeightPeriod("shop", 500, 0.0)
    step.seen["canary"] = DistinctUsers(most=4)
    users = [hash_like(number) for number in range(32)]
    fresh = step.add("canary", users, (), 0).seen
    assert 0 < len(fresh) <= 4
    assert set(fresh) == step.seen["canary"].users()


def hash_like(number: int) -> int:
    return (number * 0x9E3779B97F4A7C15 + 0x1234567) % 2**64
