"""Judges with evidence of every kind, made the same way by every version."""

import random
from collections.abc import Callable
from functools import cache

from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import (
    AnalysisSpec,
    ErrorSpec,
    ExternalSpec,
    FixedLimits,
    GoalSpec,
    LatencySpec,
    ResourceSpec,
)
from canaryproxy.analysis.usage import UsageBlock
from tests.support.traffic import Version, Visitors, World, failing

EVERYTHING = AnalysisSpec(
    errors=ErrorSpec(limits=FixedLimits(times=3.0)),
    latency=LatencySpec(limits=FixedLimits(max=1.0)),
    goals=(GoalSpec("cart", valued=True),),
    resources=(ResourceSpec("cpu"),),
    externals=(ExternalSpec("load", max=1.0),),
)
FARM = ("a:1", "a:2", "a:3", "a:4")


def everything() -> World:
    """All checks, by request."""
    world = World(Version(0.01, buys=0.1), Version(0.012, 0.01, buys=0.1), spec=EVERYTHING, goal="cart", valued=True)
    for number in range(8):
        world.judge.check_set.resources["cpu"].block(UsageBlock(1.1 + number / 100, 1.0, (5.0, 5.0)))
    world.judge.check_set.externals["load"].read(0.5, None)
    world.run(60)
    return world


def users() -> World:
    """All checks, by user."""
    world = World(spec=EVERYTHING, affinity=True, goal="cart")
    Visitors(world, arrivals=30, bad=(0.05, 0.02), buyers=(0.2, 0.3)).run(40)
    return world


def endpoints() -> World:
    """Failures in clumps, over an hour."""
    world = World(
        Version(endpoints=FARM),
        Version(endpoints=FARM),
        rate=20,
        weight=3000,
        spec=AnalysisSpec(unit="endpoint-second"),
    )
    for second in range(380):
        world.stable.errors = world.canary.errors = 0.5 if second % 20 == 0 else 0.002
        world.run(10)
    return world


def fails() -> World:
    """A canary that was found to fail."""
    world = World(Version(0.001), Version(0.3))
    world.run(30, failing)
    world.run(5)
    return world


def alone() -> World:
    """All of the traffic, after a comparison."""
    world = World(Version(0.01), Version(0.01), weight=5000)
    world.run(40)
    world.weight = 10_000
    world.canary = Version(0.013)
    world.run(20)
    return world


JUDGED: dict[str, Callable[[], World]] = {
    "everything": everything,
    "users": users,
    "endpoints": endpoints,
    "fails": fails,
    "alone": alone,
}


@cache
def seen(name: str) -> World:
    """One of them, only to be looked at."""
    return JUDGED[name]()


def fresh(world: World) -> Judge:
    """One for the same spec that has seen nothing."""
    return Judge(world.spec, affinity=world.affinity, rng=random.Random(9).random)
