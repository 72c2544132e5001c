"""The parts of the race: each asks one question of runners that stand still in turn, and yields rows."""

import contextlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.race.load import Answers, load
from bench.race.peers import FLOOR, HAPROXY, NGINX, OURS, Command, Peer, Place
from bench.race.peers import ours as canaryproxy
from bench.race.rows import Row, Rows
from bench.race.track import ALL_CORES, LOAD_CORE, Cost, Runner, Track

GIB, KIB, MIB = 1 << 30, 1 << 10, 1 << 20
MICRO = 1e6

SATURATING, PACED = 128, 64
"""Connections of the closed and of the open loop."""

SHARE = 0.6
"""Of HAProxy's saturation rate: the load at which latencies are compared."""

ROOM = 0.95
"""Who saturates below this much of a rate is not asked at it."""

IDLE, IDLE_ROUNDS = 10_000, 3
SETTLE = 2.0
REST = 10.0
RULES, ROUTES, WORKERS = (1, 100, 10_000), (1, 1000), (1, 2)
CONNECTIONS = (10, 100, 1000, 10_000)
SCALED = (FLOOR, OURS, HAPROXY, NGINX)
USERS = 30_000
"""Names of users in the load of the rules: a third of them has one where there are 10,000."""


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    peers: Sequence[Peer]
    rounds: int
    milliseconds: int
    rng: random.Random

    def having(self, *others: Peer) -> list[Peer]:
        """Those of ours that are among `others`."""
        return [peer for peer in self.peers if peer in others]


@dataclass(frozen=True)
class Race:
    """What a part is given: the standard runners, and rows of parts before it."""

    track: Track
    plan: Plan
    runners: Sequence[Runner]
    before: Rows


def rounds(race: Race, runners: Sequence[Runner], times: int = 1) -> Iterator[tuple[int, Runner]]:
    """Every runner in every round, in another order each time. `times`: as many rounds as planned, times this."""
    for number in range(1, race.plan.rounds * times + 1):
        for runner in race.plan.rng.sample(runners, len(runners)):
            yield number, runner


def per_request(cost: Cost, answers: Answers) -> dict[str, float]:
    """What most parts want to know."""
    each = MICRO / answers.requests
    return {"cpu": cost.seconds * each, "aside": cost.aside * each, "rate": answers.rate, **answers.latencies()}


def closed(race: Race, runner: Runner, *options: str | int) -> dict[str, float]:
    """A closed loop with `options`."""
    return per_request(*runner.asked("--milliseconds", race.plan.milliseconds, *options))


def requests(race: Race) -> Iterator[Row]:
    """What does a request cost, and how many can be answered?"""
    for number, runner in rounds(race, race.runners):
        yield Row("requests", runner.peer.name, "", number, closed(race, runner, "--connections", SATURATING))


def latency(race: Race) -> Iterator[Row]:
    """How long does a request take where all are asked equally often? The slow ones: at their own share."""
    capacity = {}
    for peer in race.plan.peers:
        if saturated := race.before.part("requests").of(peer.name).spread("rate"):
            capacity[peer.name] = saturated.median
    measured = HAPROXY.name if HAPROXY.name in capacity else next(iter(capacity), None)
    if measured is None:
        sys.exit("latencies are taken at a share of HAProxy's rate: the part `requests` has to go first")
    rate = SHARE * capacity[measured]
    for number, runner in rounds(race, race.runners):
        name = runner.peer.name
        able = rate <= ROOM * capacity[name]
        with_pacing = int(rate if able else SHARE * capacity[name])
        options = ("--connections", PACED, "--rate", with_pacing, "--poisson", "--drain", 3000)
        cost, answers = runner.asked("--milliseconds", race.plan.milliseconds, *options)
        values = {"paced": with_pacing, "late": answers.late, "uncompleted": answers.uncompleted}
        yield Row("latency", name, "equal" if able else "own", number, values | per_request(cost, answers))


def idle(race: Race) -> Iterator[Row]:
    """What does a connection take that is kept but not used? Each proxy is a new one: memory is not given back."""
    peers = [peer for peer in race.plan.peers if peer.pools]
    for number in range(1, min(race.plan.rounds, IDLE_ROUNDS) + 1):
        for peer in race.plan.rng.sample(peers, len(peers)):
            with contextlib.ExitStack() as stack:
                runner = race.track.enter(stack, peer)
                time.sleep(SETTLE)
                before = runner.resident()
                options = ("--connections", IDLE, "--once")
                many = stack.enter_context(load(peer.name, runner.port, *options, core=LOAD_CORE))
                time.sleep(SETTLE)
                grown = runner.resident() - before
                answers = many.go()
                values = {"kib": grown / IDLE / KIB, "answered": answers.requests, "closed": answers.closed}
                yield Row("idle", peer.name, "", number, values)


def bodies(race: Race) -> Iterator[Row]:
    """What do large bodies cost, both ways?"""
    ways: dict[str, tuple[str | int, ...]] = {"down": ("--path", f"/bytes/{MIB}"), "up": ("--up", MIB)}
    for number, runner in rounds(race, race.runners):
        for way, options in ways.items():
            cost, answers = runner.asked("--milliseconds", race.plan.milliseconds, "--connections", 8, *options)
            moved = answers.bytes / GIB
            values = {"cpu": cost.seconds / moved * 1000, "rate": moved / answers.seconds}
            yield Row("bodies", runner.peer.name, way, number, values)


def connecting(race: Race) -> Iterator[Row]:
    """What does a connection cost that bears one request?"""
    able = [runner for runner in race.runners if runner.peer.pools]
    for number, runner in rounds(race, able):
        yield Row("connecting", runner.peer.name, "", number, closed(race, runner, "--connections", 32, "--fresh"))


def tls(race: Race) -> Iterator[Row]:
    """What does TLS cost, on kept connections and for each new one?"""
    peers = [peer for peer in race.plan.peers if peer.tls]
    with contextlib.ExitStack() as stack:
        runners = [race.track.enter(stack, peer, tls=True) for peer in peers]
        for number, runner in rounds(race, runners):
            for setting, options in (("kept", ()), ("new", ("--fresh",))):
                values = closed(race, runner, "--connections", PACED, "--tls", *options)
                yield Row("tls", runner.peer.name, setting, number, values)


def _ours(
    race: Race, part: str, settings: Mapping[str, Callable[[Place], Command]], *options: str | int
) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        runners = [
            race.track.enter(stack, OURS, command=command, setting=setting, options=options)
            for setting, command in settings.items()
        ]
        for number, runner in rounds(race, runners, times=2):
            yield Row(part, OURS.name, runner.setting, number, closed(race, runner, *options))


def rules(race: Race) -> Iterator[Row]:
    """Does the number of rules matter?"""
    settings = {f"{count}": partial(canaryproxy.command, rules=count) for count in RULES}
    yield from _ours(race, "rules", settings, "--connections", PACED, "--users", USERS)


def routes(race: Race) -> Iterator[Row]:
    """Does the number of routes matter? Every connection keeps to a host of its own."""
    settings = {f"{count}": partial(canaryproxy.command, routes=count) for count in ROUTES}
    options = ("--connections", max(ROUTES), "--in-flight", PACED, "--hosts", max(ROUTES))
    yield from _ours(race, "routes", settings, *options)


def connections(race: Race) -> Iterator[Row]:
    """Does the number of connections matter, where no more are asked at once?"""
    few = [runner for runner in race.runners if runner.peer in SCALED]
    for number, runner in rounds(race, few):
        for count in CONNECTIONS:
            if runner.peer.pools or count < max(CONNECTIONS):
                options = ("--connections", count, "--in-flight", min(count, PACED))
                yield Row("connections", runner.peer.name, f"{count}", number, closed(race, runner, *options))


def workers(race: Race) -> Iterator[Row]:
    """Do two workers cost what one does, and answer twice as much? Of two cores the load takes its part."""
    cores = "0,2" if (os.cpu_count() or 1) > 2 else ALL_CORES
    with contextlib.ExitStack() as stack:
        runners = [
            race.track.enter(
                stack, OURS, command=partial(canaryproxy.command, workers=count), setting=f"{count}", cores=cores
            )
            for count in WORKERS
        ]
        for number, runner in rounds(race, runners):
            values = closed(race, runner, "--connections", SATURATING)
            yield Row("workers", OURS.name, runner.setting, number, values)


def rest(race: Race) -> Iterator[Row]:
    """What do they take while idle?"""
    time.sleep(SETTLE)
    before = [sum(runner.cpu().values()) for runner in race.runners]
    time.sleep(REST)
    for runner, first in zip(race.runners, before, strict=True):
        values = {"cpu": (sum(runner.cpu().values()) - first) / REST * 1000, "mib": runner.resident() / MIB}
        yield Row("rest", runner.peer.name, "", 1, values)


PARTS: dict[str, Callable[[Race], Iterator[Row]]] = {
    "rest": rest,
    "requests": requests,
    "latency": latency,
    "idle": idle,
    "bodies": bodies,
    "connecting": connecting,
    "tls": tls,
    "rules": rules,
    "routes": routes,
    "connections": connections,
    "workers": workers,
}
QUICK = ("rest", "requests", "latency")
