"""Run the claims, print a line for each, write PROOF.md; exit code 1 when one does not hold."""

import argparse
import functools
import itertools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.locust.compare import after_kills, same
from bench.machine import machine
from bench.prove import Disproved, judged, rolled
from bench.prove.canary import broken_pod
from bench.prove.change import drain_under_load, reload_under_load
from bench.prove.conformance import ROUNDS, ROUTES, conformance
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

PROOF = Path(__file__).parents[1] / "PROOF.md"

CLAIMS: dict[str, tuple[str, Callable[[], str]]] = {
    "split-1": ("At weight 1 the canary gets 1.00 % ± 0.05", functools.partial(split, "1", 0.05)),
    "split-0.25": ("At weight 0.25 the canary gets 0.25 % ± 0.02", functools.partial(split, "0.25", 0.02)),
    "reload": ("Reloads under load lose nothing", reload_under_load),
    "drain": ("SIGTERM under load loses nothing", drain_under_load),
    "canary": ("A canary pod that resets, refuses, returns costs clients nothing that can be mended", broken_pod),
    "sticky": ("Users stay put, and the share stays what was asked for", sticky),
    "names": ("Addresses that come and go lose nothing", names_come_and_go),
    "tunnels": ("1,000 WebSockets stay through reloads and a certificate change", websockets),
    "rules": ("10,000 exact rules cost at most 5 % more CPU than 10", many_rules),
    "publish": ("After the 200 nothing follows the old weight: 2 workers, paced; median below 20 ms", paced),
    "publish-saturated": ("The same with 4 saturated workers, 200 changes", saturated),
    "publish-stopped": ("The same with a worker that is stopped", stopped_worker),
    "crash": ("A worker killed every second costs its own connections alone", killed_workers),
    "state": ("kill -9 of the instance loses no acknowledged write", killed_instance),
    "stall": ("A supervisor stopped for 5 s costs no request", stopped_supervisor),
    "shield": (
        "A canary that fails everything costs no safe request with a budget of 100 %, and is charged",
        whole_budget,
    ),
    "shield-budget": ("With the default budget exactly what lies beyond it fails", default_budget),
    "shield-hang": ("A hanging canary adds no more than the shield's time", hanging),
    "mirror": ("A mirror whose target ails raises p99 by less than 1 ms at half load", unharmed),
    "locust": ("Locust's customers counted what /stats and Prometheus tell, to the request", same),
    "locust-crash": ("The same with workers killed, less what they had not yet reported", after_kills),
    "judge-dead": ("A canary that fails everything has its verdict within 1.5 s of its first request", judged.dead),
    "judge-errors": ("0.1 to 3 % errors are found", judged.errors),
    "judge-slow": ("p95 half as slow again is found", judged.slow),
    "judge-together": ("Both versions worse together: no verdict", judged.together),
    "judge-better": ("30 % faster, more carts, 20 % less CPU: told to be better, with intervals", judged.better),
    "judge-equal": ("Of equal versions no difference is shown", judged.equal),
    "judge-instant": (
        "Of equal versions that answer in less than a millisecond neither, for ten minutes",
        judged.instant,
    ),
    "judge-hungry": (
        "50 % more CPU a request is found at weight 50 by scraping, and not guessed at weight 5",
        judged.hungry,
    ),
    "judge-many": ("Judging 100 routes takes less than 5 % of a core", judged.many),
    "rollout-good": ("A rollout of equal versions reaches 100 and succeeds", rolled.good),
    "rollout-dead": (
        "A canary that fails everything is at weight 0 within 2 s, at most 30 requests failed",
        rolled.dead,
    ),
    "rollout-errors": ("0.1 to 3 % errors are rolled back", rolled.errors),
    "rollout-slow": ("p95 half as slow again is rolled back", rolled.slow),
    "rollout-sells": ("A canary that sells half as much is held", rolled.sells_half),
    "rollout-together": ("Both versions worse together: nothing is rolled back", rolled.together),
    "rollout-twenty": ("Of 20 equal canaries with 2 % errors at most one is rolled back", rolled.twenty),
    "rollout-users": ("With affinity a dead canary is at weight 0 within 2 s, counted in users", rolled.users),
    "rollout-overload": (
        "A canary that fails under full load alone is compared again, and pauses at half",
        rolled.overload,
    ),
    "rollout-outage": ("A shared outage during the bake ends at 100 again", rolled.outage),
    "rollout-abort": ("After the 200 of an abort no request reaches the canary, in every phase", rolled.aborted),
    "rollout-killed": (
        "kill -9 at 50 moments of rollouts: no illegal state, lost abort, unearned step",
        rolled.killed,
    ),
    "memory": ("Large bodies grow memory by less than 32 MiB", large_bodies),
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="CLAIM", help=", ".join(CLAIMS))
    parser.add_argument("--conformance", type=Path, metavar="DIR", help="folder of the conformance bench")
    arguments = parser.parse_args()
    claims = dict(CLAIMS)
    if arguments.conformance is not None:
        for routes, (name, options) in itertools.product(ROUTES, ROUNDS.items()):
            claims[f"conformance-{routes}-{name}"] = (
                f"Every conformance case holds: {routes} route{'s' * (routes != 'one')}, {name}",
                functools.partial(conformance, arguments.conformance, routes, options),
            )
    wanted = arguments.only or list(claims)
    results = [(name, *_try(*claims[name])) for name in wanted]
    if not arguments.only:
        PROOF.write_text(_page(results))
    failed = [name for name, holds, _, _ in results if not holds]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))


def _try(claim: str, show: Callable[[], str]) -> tuple[bool, str, str]:
    try:
        holds, said = True, show()
    except Disproved as error:
        holds, said = False, str(error)
    print(f"{'holds' if holds else 'FAILS'}  {claim}: {said}", flush=True)
    return holds, claim, said


def _page(results: list[tuple[str, bool, str, str]]) -> str:
    rows = "\n".join(f"| {claim} | {'yes' if holds else '**no**'} | {said} |" for _, holds, claim, said in results)
    return f"""# Claims, shown

`make prove` on {datetime.now(UTC).date()}: {machine()}

| claim | holds | seen |
|---|---|---|
{rows}

How each is shown: [bench/prove/](prove/).
"""


if __name__ == "__main__":
    main()
