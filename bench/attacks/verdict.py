"""What must hold of the runs of one flood, and whether it does. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.attacks.figures import Run, Seen
from bench.attacks.flood import Flood

BASE, OURS, NGINX = "64e2905", "this", "nginx"
MOST_MS = 100.0
"""Of a weight change and of health, 99 of 100, less the wake-up delay of the same run."""

SHARE_HELD, CHURN = 0.9, 100.0
"""A flood is strong where it held so many of its connections at once, or came again so often a second."""

FORFEITED = 0.5
"""The attack on places succeeds where it keeps so many newcomers out."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim about one flood. `holds` is None where this machine cannot show it; `seen` says why."""

    flood: str
    claim: str
    holds: bool | None
    seen: str


def verdicts(flood: Flood, runs: Sequence[Run], *, seconds: float, most_ms: float = MOST_MS) -> list[Verdict]:
    """All claims about these runs, which are of one flood."""
    rivals = [run for run in runs if run.subject == NGINX]
    found: list[Verdict] = []
    for run in runs:
        if run.subject == BASE:
            found.append(_succeeds(flood, run))
        if run.subject in (BASE, OURS):
            found.append(_strong(flood, run, seconds))
        if run.subject == OURS:
            found += _bounds(flood, run, rivals, most_ms)
            found += _survives(flood, run)
    return found


def where(run: Run) -> str:
    """The variant in words."""
    return f"{run.subject}, {'same address' if run.shared else 'other addresses'}"


def less_wakeup(run: Run, kind: str) -> float | None:
    """The p99 of a watcher without the wake-up delay of the same run."""
    one, late = run.flooded.get(kind), run.flooded["wakeup"].p99
    return None if one is None or one.p99 is None else max(0.0, one.p99 - (late or 0.0))


def _strong(flood: Flood, run: Run, seconds: float) -> Verdict:
    reached = run.reached
    full = reached.most >= SHARE_HELD * flood.count or reached.opened >= CHURN
    seen = f"{reached.seconds:.1f} s, {reached.held:,} held ({reached.most:,} at most), {reached.opened:,.0f} opened/s"
    return Verdict(
        flood.name, f"{where(run)}: the flood lasts and is strong", full and reached.seconds >= seconds, seen
    )


def _late(run: Run, kind: str, most_ms: float) -> tuple[bool, str]:
    """Whether a watcher was within its bound, and its figure."""
    figure, one = less_wakeup(run, kind), run.flooded[kind]
    if figure is None:
        return False, "no answer at all"
    return figure <= most_ms, f"p99 {figure:,.1f} ms less wake-up, {one.failed} of {one.asked} failed"


def _bounds(flood: Flood, run: Run, rivals: Sequence[Run], most_ms: float) -> Iterator[Verdict]:
    bounded = {"weight": "a weight change", "health": "health", "liveness": "liveness by the Unix socket"}
    for kind, what in bounded.items():
        if kind == "liveness" and kind not in run.flooded:
            continue
        holds, seen = _late(run, kind, most_ms)
        yield Verdict(flood.name, f"{where(run)}: {what} ≤ {most_ms:.0f} ms p99", holds, seen)
    yield _bystander(flood, run, rivals)
    yield _newcomers(flood, run, rivals)


def _bystander(flood: Flood, run: Run, rivals: Sequence[Run]) -> Verdict:
    quiet, flooded = run.quiet["bystander"].p99, run.flooded["bystander"].p99
    beside = _worst(one.flooded["bystander"].p99 for one in rivals)
    claim = f"{where(run)}: the bystander's p99 ≤ max(2 × quiet, nginx's)"
    if quiet is None or flooded is None:
        return Verdict(flood.name, claim, False, "no answer at all")
    bound = max(2 * quiet, beside or 0.0)
    seen = f"{flooded:.1f} ms; quiet {quiet:.1f}, nginx {'not run' if beside is None else f'{beside:.1f}'}"
    return Verdict(flood.name, claim, flooded <= bound, seen)


def _newcomers(flood: Flood, run: Run, rivals: Sequence[Run]) -> Verdict:
    """All of them, or as large a share as nginx serves."""
    one = run.flooded["newcomer"]
    beside = [rival.flooded["newcomer"] for rival in rivals]
    least = min((_share(other) for other in beside), default=1.0)
    return Verdict(
        flood.name,
        f"{where(run)}: newcomers are served, no fewer than by nginx",
        bool(one.asked) and _share(one) >= least,
        f"{one.served} of {one.asked}" + "".join(f"; nginx {other.served} of {other.asked}" for other in beside),
    )


def _share(one: Seen) -> float:
    return one.served / one.asked if one.asked else 0.0


def _survives(flood: Flood, run: Run) -> Iterator[Verdict]:
    if flood.item != "5":
        return
    claim = f"{where(run)}: the shipped manifest survives under its memory limit"
    if run.kills is None or run.limit is None:
        yield Verdict(flood.name, claim, None, "not run: no cgroup with a memory limit can be made here")
        return
    during, after = run.flooded["bystander"], run.after["bystander"]
    served = during.asked > 0 and during.failed <= during.asked // 100 and after.asked > 0 and not after.failed
    beside = f" (and {run.sockets / MIB:.0f} in TCP buffers, which cgroup v1 does not charge)" if run.sockets else ""
    seen = (
        f"{(run.charged or 0) / MIB:.0f} of {run.limit / MIB:.0f} MiB{beside}, {run.kills} killed for memory, workers "
        f"{'replaced' if run.restarts else 'the same'}; bystander: {during.failed} of {during.asked} failed during, "
        f"{after.failed} of {after.asked} after"
    )
    yield Verdict(flood.name, claim, not run.kills and not run.restarts and not run.died and served, seen)


def _succeeds(flood: Flood, run: Run) -> Verdict:
    """The attack on the base: what it is named for breaks."""
    claim = f"the attack succeeds on {BASE}: {flood.broken}"
    if flood.broken == "memory":
        if run.limit is None or run.kills is None:
            return Verdict(flood.name, claim, None, f"not run: no cgroup; {run.resident / MIB:.0f} MiB resident")
        seen = f"{(run.charged or 0) / MIB:.0f} of {run.limit / MIB:.0f} MiB, {run.kills} killed for memory"
        return Verdict(flood.name, claim, run.kills > 0 or run.died, seen)
    if flood.broken == "newcomers":
        one = run.flooded["newcomer"]
        return Verdict(flood.name, claim, _share(one) <= FORFEITED, f"{one.served} of {one.asked} served")
    holds, seen = _late(run, flood.broken, MOST_MS)
    return Verdict(flood.name, claim, not holds, seen)


def _worst(values: Iterable[float | None]) -> float | None:
    return max((one for one in values if one is not None), default=None)
