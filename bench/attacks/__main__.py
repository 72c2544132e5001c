"""Run floods, print a line for each claim, write ATTACKS.md; exit code 1 when a claim does not hold."""

import argparse
import dataclasses
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.attacks import namespace, report
from bench.attacks.figures import Run
from bench.attacks.flood import FLOODS, Flood
from bench.attacks.run import attack
from bench.attacks.subjects import PEERS, Build
from bench.attacks.verdict import BASE, OURS, Verdict, verdicts
from bench.base import base
from bench.machine import machine
from bench.prove.report import commit
from bench.race.debian import install
from bench.race.track import raise_file_limit

ROOT = Path(__file__).parents[2]
SUBJECTS = (BASE, OURS, *PEERS)
SMALL = dataclasses.replace(FLOODS[0], count=2_000, sentence="2,000 silent connections on the probes port")
SMALL_SECONDS, SMALL_MS = 5.0, 2500.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=(__doc__ or "").partition("\n")[0])
    names = [flood.name for flood in FLOODS]
    parser.add_argument("--only", nargs="+", metavar="FLOOD", choices=names, default=names, help=", ".join(names))
    parser.add_argument("--against", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="what is attacked")
    parser.add_argument("--from", dest="variants", choices=("others", "same", "both"), default="both",
                        help="addresses of the flood; both: of this alone, everything else meets others")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=30.0, help="of each flood")
    parser.add_argument("--quiet", type=float, default=5.0, help="seconds before it")
    parser.add_argument("--this", type=Path, metavar="PYTHON", default=Path(sys.executable),
                        help="the interpreter of another checkout instead of this one")  # fmt: skip
    parser.add_argument("--no-write", action="store_true", help="leave ATTACKS.md as it is: so does a part of it all")
    parser.add_argument(
        "--small", action="store_true", help="a scaled-down flood against this checkout; writes nothing"
    )
    arguments = parser.parse_args()
    whole = set(arguments.against) == set(SUBJECTS) and arguments.variants == "both"
    arguments.no_write |= not whole or arguments.this != Path(sys.executable)
    if not arguments.small:
        install()
    builds = _builds(arguments.this, wanted=() if arguments.small else arguments.against)
    settings = namespace.enter()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if arguments.small:
        sys.exit(_small(builds[OURS]))
    began = time.monotonic()
    failed, shown = 0, 0
    for flood in FLOODS:
        if flood.name in arguments.only:
            record = _record(flood, builds, arguments, settings)
            for verdict in record.verdicts():
                _say(verdict)
                shown += 1
                failed += verdict.holds is False
            if arguments.no_write:
                print(report.section(record))
            else:
                report.write([record])
    print(f"{shown - failed} of {shown} claims hold, {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))


def _builds(python: Path, wanted: tuple[str, ...]) -> dict[str, Build | str]:
    builds: dict[str, Build | str] = {OURS: Build(OURS, python, _root(python)), **{name: name for name in PEERS}}
    if BASE in wanted:
        builds[BASE] = Build(BASE, *base())
    return builds


def _root(python: Path) -> Path:
    """The checkout that an environment belongs to: its manifests are used."""
    root = python.absolute().parents[2]
    return root if (root / "k8s").is_dir() else ROOT


def _record(
    flood: Flood, builds: dict[str, Build | str], arguments: argparse.Namespace, settings: str
) -> report.Record:
    """Every subject under one flood."""
    runs: list[Run] = []
    for name in SUBJECTS:
        for shared in _variants(name, arguments.variants) if name in arguments.against else ():
            print(f"{flood.name}: {name}, {'same address' if shared else 'other addresses'}", flush=True)
            runs.append(
                attack(
                    builds[name],
                    flood,
                    shared=shared,
                    seconds=arguments.seconds,
                    quiet=arguments.quiet,
                    after=2,
                    limited=flood.item == "5",
                )
            )
            if runs[-1].compiled is False:
                print(f"the workers of {name} do not run compiled code: make compile", file=sys.stderr)
                if name == BASE or not arguments.no_write:
                    sys.exit(1)
    date = str(datetime.now(UTC).date())
    return report.Record(flood.name, arguments.seconds, date, commit(), machine(), settings, tuple(runs))


def _variants(name: str, wanted: str) -> tuple[bool, ...]:
    if wanted == "both":
        return (False, True) if name == OURS else (False,)
    return (wanted == "same",)


def _small(build: Build | str) -> int:
    """A row for CI: everything is asked, with bounds that a busy machine keeps."""
    run = attack(build, SMALL, shared=False, seconds=SMALL_SECONDS, quiet=1, after=0.5, limited=False)
    wanted = [one for one in verdicts(SMALL, [run], seconds=SMALL_SECONDS, most_ms=SMALL_MS)
              if "bystander" not in one.claim and "newcomers" not in one.claim]  # fmt: skip
    bystander = run.flooded["bystander"]
    wanted.append(Verdict(SMALL.name, "the bystander is served", bystander.served > 0 and not bystander.failed,
                          f"{bystander.failed} of {bystander.asked} failed"))  # fmt: skip
    print("; ".join(f"{one.claim.partition(': ')[2] or one.claim}: {one.seen}" for one in wanted))
    return int(any(one.holds is False for one in wanted))


def _say(verdict: Verdict) -> None:
    word = {True: "holds", False: "FAILS", None: "not run"}[verdict.holds]
    print(f"{word}  {verdict.flood}: {verdict.claim}: {verdict.seen}", flush=True)


if __name__ == "__main__":
    main()
