"""What a judge has learnt outlives the process that learnt it."""

import json
import math
import random
from collections import deque

import pytest

from canaryproxy.analysis.finding import Analysis
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.memory import Unfit, kept, read
from canaryproxy.analysis.rates import Block
from canaryproxy.analysis.spec import Errors, External, GoalSpec, Latency, Limits, Resource, Spec
from canaryproxy.analysis.usage import Used
from tests.support.traffic import Version, Visitors, World, failing

SPEC = Spec(
    errors=Errors(limits=Limits(times=3.0)), latency=Latency(limits=Limits(most=1.0)),
    goals=(GoalSpec("cart", valued=True),), resources=(Resource("cpu"),), externals=(External("load", most=1.0),),
)  # fmt: skip


def again(world: World) -> None:
    """The process ends, and another one goes on."""
    told = json.loads(json.dumps(world.judge.kept(world.now)))
    world.judge = Judge(world.spec, affinity=world.affinity, dice=random.Random(9).random)
    world.judge.recall(told, world.now)


def numbers(analysis: Analysis) -> list[object]:
    return [(one.name, one.verdict, one.evidence, one.better, one.proof, one.samples, one.p) for one in analysis.checks]


def test_a_judge_says_the_same_after_a_restart() -> None:
    world = World(Version(0.01, buys=0.1), Version(0.012, buys=0.1), spec=SPEC, goal="cart", valued=True)
    for number in range(4):
        world.judge.panel.resources["cpu"].block(Used(1.1 + number / 100, 1.0, (5.0, 5.0)))
    world.judge.panel.externals["load"].read(0.5, None)
    world.run(60)
    before = world.judge.analysis(world.now)
    again(world)
    after = world.judge.analysis(world.now)
    assert numbers(after) == numbers(before)
    assert (after.verdict, after.reason, after.evidence) == (before.verdict, before.reason, before.evidence)
    assert (after.weight, after.exposed) == (500, before.exposed)
    assert after.seconds == pytest.approx(before.seconds)


def test_it_goes_on_to_what_it_would_have_found() -> None:
    worlds = [World(Version(0.01), Version(0.03), seed=4) for _ in range(2)]
    for world in worlds:
        world.run(5)
    again(worlds[1])
    took = [world.run(200, failing) for world in worlds]
    assert all(one is not None and one < 60 for one in took)


def test_a_failing_verdict_stands() -> None:
    world = World(Version(0.001), Version(1.0))
    world.run(5, failing)
    before = world.judge.analysis(world.now)
    again(world)
    after = world.judge.analysis(world.now)
    assert (after.verdict, after.reason, after.evidence) == ("fail", before.reason, before.evidence)


def test_users_stay_counted() -> None:
    world = World(affinity=True)
    visitors = Visitors(world, bad=(0.5, 0.02))
    visitors.run(20)
    before = numbers(world.judge.analysis(world.now))
    again(world)
    assert numbers(world.judge.analysis(world.now)) == before


def test_what_was_kept_for_another_spec_does_not_fit() -> None:
    world = World(spec=SPEC)
    told = world.judge.kept(world.now)
    for spec in (Spec(), Spec(errors=None), Spec(goals=(GoalSpec("seen"),))):
        with pytest.raises((Unfit, KeyError)):
            Judge(spec, affinity=False, dice=random.random).recall(told, 0.0)


def test_containers_are_what_they_were() -> None:
    value = {"a": (1, 2.5, None), 3: [True, {4, 5}], "q": deque([Block(1, 0, 2, 0)], maxlen=7), "inf": math.inf}
    found = read(None, json.loads(json.dumps(kept(value))))
    assert found == value
    assert found["q"].maxlen == 7


@pytest.mark.parametrize("wrong", [{"x": 1}, {"o": "Nothing", "v": []}, {"a": {}}])
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Unfit):
        read(None, wrong)
    with pytest.raises(TypeError):
        kept(object())
