"""Run claims, print a line for each, and record them in PROOF.md; exit code 1 when one does not hold."""

import argparse
import functools
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.prove import DisprovedError, report, sanitized
from bench.prove.claims import CLAIMS, GROUPS, Claim
from bench.prove.conformance import ROUNDS, ROUTES, conformance


def main() -> None:
    """The command."""
    names = [claim.name for claim in CLAIMS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="CLAIM", choices=names, help=", ".join(names))
    parser.add_argument("--group", choices=GROUPS, help="the claims of one group")
    parser.add_argument("--small", action="store_true", help="a scaled-down row of each group; records nothing")
    parser.add_argument("--conformance", type=Path, metavar="DIR", help="folder of the conformance bench")
    arguments = parser.parse_args()
    if arguments.small:
        sys.exit(_small())
    claims = [*CLAIMS, *(_conformance(arguments.conformance) if arguments.conformance else ())]
    wanted = [
        claim
        for claim in claims
        if (not arguments.only or claim.name in arguments.only) and arguments.group in (None, claim.group)
    ]
    results = [report.result(claim.name, claim.sentence, seen, holds=holds) for claim, holds, seen in map(_try, wanted)]
    report.write(results, names)
    failed = sum(not one.holds for one in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(bool(failed))


def _conformance(folder: Path) -> list[Claim]:
    """Every round of the conformance bench in `folder`."""
    rounds = [
        Claim(
            "conformance",
            f"conformance-{routes}-{name}",
            f"Every conformance case holds: {routes} route{'s' * (routes != 'one')}, {name}",
            functools.partial(conformance, folder, routes, options),
        )
        for routes, (name, options) in itertools.product(ROUTES, ROUNDS.items())
    ]
    watched = [
        Claim(
            "sanitized",
            f"sanitized-{name}",
            f"Every conformance case holds, sanitized as above: {name}",
            functools.partial(sanitized.cases, folder, name),
        )
        for name in ROUNDS
    ]
    return rounds + watched


def _small() -> int:
    """Run the scaled-down rows; the exit code."""
    failed = 0
    for claim in CLAIMS:
        if claim.small is not None:
            began = time.monotonic()
            holds, seen = _run(claim.small)
            failed += not holds
            print(f"{_word(holds)}  {claim.name}, {time.monotonic() - began:.0f} s: {seen}", flush=True)
    return int(failed > 0)


def _try(claim: Claim) -> tuple[Claim, bool, str]:
    holds, seen = _run(claim.show)
    print(f"{_word(holds)}  {claim.sentence}: {seen}", flush=True)
    return claim, holds, seen


def _run(show: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, show()
    except DisprovedError as error:
        return False, str(error)


def _word(holds: bool) -> str:
    return "holds" if holds else "FAILS"


if __name__ == "__main__":
    main()
