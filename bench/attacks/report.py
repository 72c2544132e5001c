"""ATTACKS.md: a table for each flood, with verdicts, commit and machine. Kept as data in attacks.json."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.attacks.figures import Reached, Run, Seen
from bench.attacks.flood import FLOODS, Flood
from bench.attacks.verdict import MIB, Verdict, verdicts

ROOT = Path(__file__).parents[2]
DATA = ROOT / "bench" / "attacks.json"
PAGE = ROOT / "bench" / "ATTACKS.md"


@dataclass(frozen=True, slots=True)
class Record:
    """The runs of one flood, in one go. `seconds`: how long each was to last."""

    flood: str
    seconds: float
    date: str
    commit: str
    machine: str
    settings: str
    runs: tuple[Run, ...]

    def verdicts(self) -> list[Verdict]:
        """What holds of them."""
        return verdicts(kind(self.flood), self.runs, seconds=self.seconds)


def kind(name: str) -> Flood:
    """The flood of this name."""
    return next(flood for flood in FLOODS if flood.name == name)


def loaded(data: dict[str, Any]) -> Record:
    """A record from its data."""
    return Record(**{**data, "runs": tuple(map(_run, data["runs"]))})


def _run(data: dict[str, Any]) -> Run:
    phases = {
        name: {watcher: Seen(**one) for watcher, one in data[name].items()} for name in ("quiet", "flooded", "after")
    }
    return Run(**{**data, **phases, "reached": Reached(**data["reached"])})


def write(new: Iterable[Record]) -> None:
    """Put new records in the place of older ones of the same flood, and write the page."""
    old = [loaded(one) for one in json.loads(DATA.read_text())] if DATA.exists() else []
    found = {one.flood: one for one in (*old, *new)}
    records = [found[flood.name] for flood in FLOODS if flood.name in found]
    DATA.write_text(json.dumps([asdict(one) for one in records], indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(records))


def page(records: Sequence[Record]) -> str:
    """The page of these records."""
    return f"""# Attacks

`make prove-attacks` writes this page; one flood again: `make prove-attacks ATTACKS="--only idle"`. Each flood runs
against the base (64e2905), this checkout, nginx and HAProxy, one after another.

{METHOD}
{chr(10).join(map(section, records))}"""


METHOD = """\
**How it is run.** The flood (`bench/attacks/c/flood.c`) and the origin (nginx) have one core. The proxy, its
operator, its prober, a bystander, newcomers and an idle process have the other one. Everything has a network
namespace of its own. The flood opens what is closed again at full speed. It comes from 250 addresses of its own,
or from the one address that everybody else has too (NAT). Both canaryproxies run the shipped
`k8s/base/canaryproxy.yaml` of their own commit, with the addresses replaced and a TLS listener added; under the
floods of item 5 in a cgroup with the memory limit of their `k8s/base/deployment.yaml`. nginx has one worker and
10,000 `worker_connections`, its other limits are its defaults, and buffered answers do not go to disk
(`proxy_max_temp_file_size 0`: they would be 25 GB). HAProxy has one thread, `maxconn` 10,000 and the time limits
of Debian's haproxy.cfg. What stands beside the probes and admin ports is `stub_status` in nginx, the Prometheus
exporter and `monitor-uri` in HAProxy, in the process that serves; neither has a weight to change there. A head
may have 64 KiB here, 32 KiB in nginx and 16 KiB in HAProxy: both refuse the half heads. nginx and HAProxy have no
limits by address unless they are configured: their one run counts for both variants.

**How to read it.** Milliseconds, 99 of 100. `weight`: a PUT, `health`: GET /healthz on the probes port,
`liveness`: the same on the Unix socket of the probes, where there is one; each on a connection of its own, ten a
second; a failure has the time after which it is given up: 10 s and 3 s. `bystander`: a request every 20 ms on a
connection that stays (by TLS where the flood is), quiet and under the flood. `newcomers`: four a second, a
connection each, given up after 2 s. What was due while a request waited counts from when it was due. `wake-up`:
how late an idle process on the same core wakes; bounds in milliseconds hold after it is subtracted. `memory`:
charged to the cgroup at most; buffers of TCP sockets are counted apart by cgroup v1 (most), and in it by v2;
resident: all processes added up, so that what they share counts more than once. `held`: median, and most.
"""

HEADS = (
    *("", "flood from", "weight", "health", "liveness", "bystander, quiet", "bystander", "newcomers"),
    *("memory (sockets, resident)", "wake-up", "held (most)", "opened/s", "answered 2xx/s (not 2xx)"),
)


def section(record: Record) -> str:
    """One flood."""
    flood = kind(record.flood)
    rows = "\n".join(map(_row, record.runs))
    lines = "\n".join(f"| {one.claim} | {_word(one.holds)} | {one.seen} |" for one in record.verdicts())
    return f"""
## `{flood.name}`: {flood.sentence} (item {flood.item})

{record.date}, commit {record.commit}, {record.seconds:.0f} s each. {record.machine}. {record.settings}.

| {" | ".join(HEADS)} |
{"|---" * len(HEADS)}|
{rows}

| claim | holds | seen |
|---|---|---|
{lines}
"""


def _row(run: Run) -> str:
    flooded, reached = run.flooded, run.reached
    newcomer = flooded["newcomer"]
    charged = "-" if run.charged is None else f"{run.charged / MIB:.0f} MiB"
    killed = f", {run.kills} killed" if run.kills else ""
    cells = (
        run.subject,
        "the same address" if run.shared else "other addresses",
        _ms(flooded.get("weight")),
        _ms(flooded["health"]),
        _ms(flooded.get("liveness")),
        _ms(run.quiet["bystander"]),
        _ms(flooded["bystander"]),
        f"{newcomer.served} of {newcomer.asked}",
        f"{charged}{killed} ({(run.sockets or 0) / MIB:.0f}, {run.resident / MIB:.0f})",
        _ms(flooded["wakeup"]),
        f"{reached.held:,} ({reached.most:,})",
        f"{reached.opened:,.0f}",
        f"{reached.answered:,.0f} ({reached.otherwise:,.0f})",
    )
    return f"| {' | '.join(cells)} |"


def _ms(one: Seen | None) -> str:
    if one is None or one.p99 is None:
        return "-"
    failed = f" ({one.failed} of {one.asked} failed)" if one.failed else ""
    return f"{one.p99:,.1f}{failed}"


def _word(holds: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "not run"}[holds]
