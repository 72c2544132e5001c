"""Choosing an endpoint. H60."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.table import Endpoint, Route, Version
from canaryproxy.routing.balancing import pick, pick_untried

STABLE = Version("stable", tuple(Endpoint("s", port) for port in range(1, 5)))
CANARY = Version("canary", tuple(Endpoint("c", port) for port in range(1, 4)))
ROUTE = Route("shop", STABLE, CANARY)
RESCUE = VersionChoice(ROUTE, STABLE, "weight", analysed=True)
VERDICT = VersionChoice(ROUTE, CANARY, "weight", analysed=True, fallback=RESCUE)


class State:
    """An endpoint's load."""

    def __init__(self, in_flight: int = 0, *, ejected: bool = False) -> None:
        self.in_flight = in_flight
        self.ejected = ejected


class Loads:
    """Loads by port."""

    def __init__(self, **states: State) -> None:
        self._states = states

    def __call__(self, decision: Decision) -> State:
        assert decision.endpoint is not None
        return self._states.get(f"{decision.endpoint.host}{decision.endpoint.port}", State())


def test_the_less_busy_of_two_is_chosen() -> None:
    rng = random.Random(1).random
    loads = Loads(c1=State(5), c2=State(4), c3=State(6))
    chosen = Counter(pick(VERDICT.decisions(), loads, rng).endpoint for _ in range(3_000))
    assert Endpoint("c", 3) not in chosen
    assert chosen[Endpoint("c", 2)] > chosen[Endpoint("c", 1)] > 800


def test_equal_loads_get_equal_shares() -> None:
    rng = random.Random(1).random
    chosen = Counter(pick(RESCUE.decisions(), Loads(), rng).endpoint for _ in range(8_000))
    assert len(chosen) == 4
    assert all(1_800 < count < 2_200 for count in chosen.values())


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 2**32))
def test_an_ejected_endpoint_is_passed_over_unless_all_are(ejected: list[bool], seed: int) -> None:
    loads = Loads(**{f"c{port}": State(ejected=out) for port, out in enumerate(ejected, 1)})
    decision = pick(VERDICT.decisions(), loads, random.Random(seed).random)
    assert not loads(decision).ejected or all(ejected)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_any_dice_choose_two_different_ones(one: float, other: float) -> None:
    rolls = iter((one, other))
    seen: list[Decision] = []

    def loads(decision: Decision) -> State:
        seen.append(decision)
        return State()

    pick(VERDICT.decisions(), loads, lambda: next(rolls))
    assert seen[-1] is not seen[-2]


def test_after_a_failure_comes_another_of_the_version_then_the_stand_in_then_nothing() -> None:
    rng, verdicts = random.Random(1).random, (VERDICT, VERDICT.fallback)
    tried = [Endpoint("c", 1)]
    for _ in range(2):
        then = pick_untried(verdicts, tried, lambda _: True, Loads(), rng)
        assert then is not None
        assert then.version is CANARY
        assert then.endpoint not in tried
        assert then.endpoint is not None
        tried.append(then.endpoint)
    then = pick_untried(verdicts, tried, lambda _: True, Loads(), rng)
    assert then is not None
    assert then.version is STABLE
    assert pick_untried(verdicts, tried, lambda _: False, Loads(), rng) is None
    assert pick_untried((RESCUE, None), STABLE.endpoints, lambda _: True, Loads(), rng) is None
