"""All that the supervisor does with a report, as `control.intake` does it, and how much is kept of it."""

import random
from typing import Any

from canaryproxy.analysis.judge import Judge
from canaryproxy.config import Config, parse
from canaryproxy.control.events import EventBus
from canaryproxy.control.judges import Judges
from canaryproxy.model.report import Delta
from canaryproxy.processes.subscriptions import Subscription
from canaryproxy.telemetry.read.counters import Counters
from canaryproxy.telemetry.read.users import UserRegistry
from canaryproxy.telemetry.read.window import Window
from tests.support.plane import Weights

TEXT = """
routes:
  shop:
    hosts: [shop.test]
    stable: http://10.0.0.1:1
    canary: http://10.0.0.1:9
    weight: 5
    affinity: cookie
    goals: [{name: buy, path: /buy}]
    analysis: {}
  blog:
    hosts: [blog.test]
    stable: http://10.0.0.1:1
    canary: http://10.0.0.1:9
    weight: 5
    analysis: {}
"""


def configured() -> Config:
    """Two routes whose canaries are judged."""
    return parse(TEXT, "f", {})


class Filed:
    """Everything that is kept of reports."""

    def __init__(self) -> None:
        self.counters, self.window, self.users = Counters(), Window(), UserRegistry()
        self.judges = Judges(
            configured(),
            99.0,
            Weights({"shop": 500, "blog": 500}),
            lambda: 1,
            random.Random(1).random,
            EventBus(lambda: 1.8e9),
            Subscription(),
        )

    def add(self, delta: Delta) -> None:
        """File a report. What breaks in a judge is an error here; there it would begin again."""
        self.counters.add(0, delta)
        self.window.add(delta)
        news = self.users.add(delta, lambda _: 500)
        before = dict(self.judges._judges)
        self.judges.add(0, delta, news)
        assert self.judges._judges == before, "a judge broke"

    def look(self, now: float) -> None:
        """A second has passed."""
        before = dict(self.judges._judges)
        for number, name in enumerate(list(self.judges._judges)):
            with self.judges._guarded(name) as judge:
                self.judges._tick_one(name, judge, now, now, say=number == 0)
        assert self.judges._judges == before, "a judge broke"

    def ask(self, now: float) -> None:
        """What is shown of it."""
        for side in (("shop", "canary"), ("blog", "stable")):
            sample = self.window.sample(side, now, 60)
            _ = sample.mean, sample.quantile(0.99), sample.error_rate
            self.users.seen(side, now, 60)
            self.counters.sums(*side)
            self.counters.in_flight(side)
        self.window.observed_weight("shop", now)
        self.judges.analysis("shop", now)
        str(self.counters)

    def size(self) -> int:
        """How many things are kept."""
        return sum(map(things, (self.counters, self.window, self.users, self.judges._judges)))


def things(one: Any, seen: set[int] | None = None) -> int:
    """Entries of all containers below an object of ours."""
    seen = set() if seen is None else seen
    if id(one) in seen or isinstance(one, (str, bytes, int, float, type(None), type)):
        return 0
    seen.add(id(one))
    if isinstance(one, dict):
        return len(one) + sum(things(value, seen) for value in one.values())
    if isinstance(one, (list, tuple, set, frozenset)):
        few = one if len(one) < 1_000 else ()
        return len(one) + sum(things(value, seen) for value in few)
    if isinstance(one, Judge) or type(one).__module__.startswith("canaryproxy."):
        names = [
            *getattr(one, "__dict__", ()),
            *(name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())),
        ]
        return sum(things(getattr(one, name, None), seen) for name in names)
    return 0
