"""The claims: a sentence each, what shows it, and for one or two of a group a row small enough for CI."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from bench.attacks.single import SINGLES
from bench.locust.compare import after_kills, same
from bench.prove import attacks, judge, rollout, sanitized
from bench.prove.canary import broken_pod
from bench.prove.change import drain_under_load, reload_under_load
from bench.prove.crash import killed_instance, killed_workers, stopped_supervisor
from bench.prove.memory import large_bodies
from bench.prove.mirror import unharmed
from bench.prove.names import names_come_and_go
from bench.prove.publish import paced, saturated, stopped_worker
from bench.prove.rules import many_rules
from bench.prove.shield import default_budget, hanging, whole_budget
from bench.prove.split import split
from bench.prove.sticky import sticky
from bench.prove.tunnels import websockets


@dataclass(frozen=True, slots=True)
class Claim:
    """`show` returns a sentence with figures or raises `DisprovedError`; `small` does the same in at most 20 s."""

    group: str
    name: str
    sentence: str
    show: Callable[[], str]
    small: Callable[[], str] | None = None


CLAIMS = (
    Claim(
        "traffic",
        "split-1",
        "At weight 1 the canary gets 1.00 % ± 0.05",
        functools.partial(split, "1", 0.05),
        functools.partial(split, "1", 0.3, 20_000),
    ),
    Claim(
        "traffic", "split-0.25", "At weight 0.25 the canary gets 0.25 % ± 0.02", functools.partial(split, "0.25", 0.02)
    ),
    Claim(
        "traffic",
        "reload",
        "Reloads under load lose nothing",
        reload_under_load,
        functools.partial(reload_under_load, 10),
    ),
    Claim("traffic", "drain", "SIGTERM under load loses nothing", drain_under_load),
    Claim(
        "traffic",
        "canary",
        "A canary pod that resets, refuses, returns costs clients no request that can be retried",
        broken_pod,
    ),
    Claim("traffic", "sticky", "Users stay put, and the share stays what was asked for", sticky),
    Claim("traffic", "names", "Addresses that come and go lose nothing", names_come_and_go),
    Claim("traffic", "tunnels", "1,000 WebSockets stay through reloads and a certificate change", websockets),
    Claim("traffic", "rules", "10,000 exact rules cost at most 5 % more CPU than 10", many_rules),
    Claim(
        "control",
        "publish",
        "After the 200 nothing follows the old weight: 2 workers, paced; median below 20 ms",
        paced,
        functools.partial(paced, times=20),
    ),
    Claim("control", "publish-saturated", "The same with 4 saturated workers, 200 changes", saturated),
    Claim("control", "publish-stopped", "The same with a worker that is stopped", stopped_worker),
    Claim(
        "control",
        "crash",
        "A worker killed every second costs its own connections alone",
        killed_workers,
        functools.partial(killed_workers, 3),
    ),
    Claim(
        "control",
        "state",
        "kill -9 of the instance loses no acknowledged write",
        killed_instance,
        functools.partial(killed_instance, 5),
    ),
    Claim("control", "stall", "A supervisor stopped for 5 s costs no request", stopped_supervisor),
    Claim(
        "safety",
        "shield",
        "A canary that fails everything costs no safe request with a budget of 100 %, and is charged",
        whole_budget,
    ),
    Claim("safety", "shield-budget", "With the default budget exactly what lies beyond it fails", default_budget),
    Claim(
        "safety",
        "shield-hang",
        "A hanging canary adds no more than the shield's time",
        hanging,
        functools.partial(hanging, 30, 0.2),
    ),
    Claim("safety", "mirror", "A mirror whose target ails raises p99 by less than 1 ms at half load", unharmed),
    Claim("locust", "locust", "Locust's customers counted what /stats and Prometheus tell, to the request", same),
    Claim("locust", "locust-crash", "The same with workers killed, less what they had not yet reported", after_kills),
    Claim(
        "judge",
        "judge-dead",
        "A canary that fails everything has its verdict within 1.5 s of its first request",
        judge.dead,
        functools.partial(judge.dead, 1),
    ),
    Claim("judge", "judge-errors", "0.1 to 3 % errors are found", judge.errors),
    Claim("judge", "judge-slow", "p95 half as slow again is found", judge.slow),
    Claim("judge", "judge-together", "Both versions worse together: no verdict", judge.together),
    Claim(
        "judge",
        "judge-better",
        "30 % faster, more carts, 20 % less CPU: reported as better, with intervals",
        judge.better,
    ),
    Claim("judge", "judge-equal", "Of equal versions no difference is shown", judge.equal),
    Claim(
        "judge",
        "judge-instant",
        "Of equal versions that answer in less than a millisecond neither, for ten minutes",
        judge.instant,
    ),
    Claim(
        "judge",
        "judge-hungry",
        "50 % more CPU a request is found at weight 50 by scraping, and not guessed at weight 5",
        judge.hungry,
    ),
    Claim("judge", "judge-many", "Judging 100 routes takes less than 5 % of a core", judge.many),
    Claim("rollout", "rollout-good", "A rollout of equal versions reaches 100 and succeeds", rollout.good),
    Claim(
        "rollout",
        "rollout-dead",
        "A canary that fails everything is at weight 0 within 2 s, at most 30 requests failed",
        rollout.dead,
        functools.partial(rollout.dead, 1),
    ),
    Claim("rollout", "rollout-errors", "0.1 to 3 % errors are rolled back", rollout.errors),
    Claim("rollout", "rollout-slow", "p95 half as slow again is rolled back", rollout.slow),
    Claim("rollout", "rollout-sells", "A canary that sells half as much is held", rollout.sells_half),
    Claim("rollout", "rollout-together", "Both versions worse together: nothing is rolled back", rollout.together),
    Claim(
        "rollout", "rollout-twenty", "Of 20 equal canaries with 2 % errors at most one is rolled back", rollout.twenty
    ),
    Claim(
        "rollout",
        "rollout-users",
        "With affinity a dead canary is at weight 0 within 2 s, counted in users",
        rollout.users,
    ),
    Claim(
        "rollout",
        "rollout-overload",
        "A canary that fails under full load alone is compared again, and pauses at half",
        rollout.overload,
    ),
    Claim("rollout", "rollout-outage", "A shared outage during the bake ends at 100 again", rollout.outage),
    Claim(
        "rollout",
        "rollout-abort",
        "After the 200 of an abort no request reaches the canary, in every phase",
        rollout.aborted,
    ),
    Claim(
        "rollout",
        "rollout-killed",
        "kill -9 at 50 moments of rollouts: no illegal state, lost abort, unearned step",
        rollout.killed,
        functools.partial(rollout.killed, 3),
    ),
    Claim(
        "rollout",
        "rollout-upgraded",
        "kill -9 in the middle of a rollout under 64e2905, then the start of this version: the rollout goes on",
        rollout.upgraded,
    ),
    Claim(
        "attacks",
        "attacks",
        "Floods of strangers and neighbours: weight and health within 100 ms, the bystander as behind nginx",
        attacks.every,
        attacks.small,
    ),
    Claim(
        "memory",
        "memory",
        "Large bodies grow memory by less than 32 MiB",
        large_bodies,
        functools.partial(large_bodies, 64, 3),
    ),
    Claim(
        "sanitized",
        "sanitized-tests",
        "The tests of HTTP and of the data plane pass under AddressSanitizer and UndefinedBehaviorSanitizer",
        sanitized.tests,
    ),
    *(Claim("single", f"single-{one.name}", f"Before, and not now: {one.sentence}", one.show) for one in SINGLES),
)
"""All of them, in the order of the report."""

GROUPS = tuple(dict.fromkeys(claim.group for claim in CLAIMS))
"""Each is a target: make prove-traffic, make prove-judge, ..."""
