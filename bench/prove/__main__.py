"""Run the claims, print a line for each, write PROOF.md; exit code 1 when one does not hold."""

import argparse
import functools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.prove import Disproved
from bench.prove.change import drain_under_load, reload_under_load
from bench.prove.conformance import conformance
from bench.prove.memory import large_bodies
from bench.prove.split import split
from bench.side_by_side import machine

PROOF = Path(__file__).parents[1] / "PROOF.md"

CLAIMS: dict[str, tuple[str, Callable[[], str]]] = {
    "split-1": ("At weight 1 the canary gets 1.00 % ± 0.05", functools.partial(split, "1", 0.05)),
    "split-0.25": ("At weight 0.25 the canary gets 0.25 % ± 0.02", functools.partial(split, "0.25", 0.02)),
    "reload": ("Reloads under load lose nothing", reload_under_load),
    "drain": ("SIGTERM under load loses nothing", drain_under_load),
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
        for name, options in (("conformance", ()), ("conformance-fragments", ("--fragment", "7"))):
            claims[name] = (
                "Every conformance case holds" + (", in fragments of 7 bytes too" if options else ""),
                functools.partial(conformance, arguments.conformance, *options),
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
