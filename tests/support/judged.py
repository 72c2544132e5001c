"""Judges with evidence of every kind, made the same way by every version."""

import random
from collections.abc import Callable
from functools import cache

from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import Errors, External, GoalSpec, Latency, Limits, Resource, Spec
from canaryproxy.analysis.usage import Used
from tests.support.traffic import Version, Visitors, World, failing

EVERYTHING = Spec(
    errors=Errors(limits=Limits(times=3.0)), latency=Latency(limits=Limits(most=1.0)),
    goals=(GoalSpec("cart", valued=True),), resources=(Resource("cpu"),), externals=(External("load", most=1.0),),
)  # fmt: skip
FARM = ("a:1", "a:2", "a:3", "a:4")


def everything() -> World:
    """All checks, by request."""
    world = World(Version(0.01, buys=0.1), Version(0.012, 0.01, buys=0.1), spec=EVERYTHING, goal="cart", valued=True)
    for number in range(8):
        world.judge.panel.resources["cpu"].block(Used(1.1 + number / 100, 1.0, (5.0, 5.0)))
    world.judge.panel.externals["load"].read(0.5, None)
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
        Version(endpoints=FARM), Version(endpoints=FARM), rate=20, weight=3000, spec=Spec(unit="endpoint-second")
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
    "everything": everything, "users": users, "endpoints": endpoints, "fails": fails, "alone": alone,
}  # fmt: skip


@cache
def seen(name: str) -> World:
    """One of them, only to be looked at."""
    return JUDGED[name]()


def fresh(world: World) -> Judge:
    """One for the same spec that has seen nothing."""
    return Judge(world.spec, affinity=world.affinity, dice=random.Random(9).random)
