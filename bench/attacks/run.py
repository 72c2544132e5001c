"""One run: a subject, quiet at first, then under a flood, then after it."""

import os
import tempfile
import time
from pathlib import Path

from bench.attacks import cgroups, subjects
from bench.attacks.figures import Run, reached, seen
from bench.attacks.flood import Flood, Running
from bench.attacks.watch import Sample, Watcher

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, FLOOD_CORE = CORES[0], CORES[-1]

SETTLED, LULL = 2.0, 1.0
"""Seconds until watchers are under way, and from the end of the flood to what counts as after it."""


def attack(
    build: subjects.Build | str,
    flood: Flood,
    *,
    shared: bool,
    seconds: float,
    quiet: float,
    after: float,
    limited: bool,
) -> Run:
    """Attack it. `shared`: all come from one address. `limited`: with the shipped memory limit."""
    os.sched_setaffinity(0, {FLOOD_CORE})  # to read what others hold in memory takes milliseconds, not from the proxy's
    limit = subjects.memory_limit(build.root) if limited and isinstance(build, subjects.Build) else None
    with (
        tempfile.TemporaryDirectory(prefix="attacks-") as made,
        cgroups.group("canaryproxy-attacks", limit) as group,
    ):
        folder = Path(made)
        folder.chmod(0o755)
        with (
            subjects.origin(folder, FLOOD_CORE) as origin,
            subjects.running(build, origin, core=PROXY_CORE, group=group) as subject,
        ):
            return _attacked(subject, flood, folder, shared, (quiet, seconds, after), limit)


def _attacked(
    subject: subjects.Subject,
    flood: Flood,
    folder: Path,
    shared: bool,
    phases: tuple[float, float, float],
    limit: int | None,
) -> Run:
    quiet, seconds, after = phases
    plans = subject.plans(tls=flood.port == "tls")
    watchers = {kind: Watcher(kind, plan, PROXY_CORE) for kind, plan in plans.items()}
    workers, compiled = subject.workers(), subject.compiled()
    time.sleep(SETTLED)
    began = time.monotonic()
    time.sleep(quiet)
    started = time.monotonic()
    running = Running(flood, subject.place.ports[flood.port], folder, shared=shared, core=FLOOD_CORE)
    resident = 0
    try:
        while time.monotonic() < started + seconds + 0.5:
            resident = max(resident, subject.resident())
            time.sleep(0.5)
    finally:
        stopped = time.monotonic()
        restarted = set(subject.workers()) != set(workers)
        running.end()
    time.sleep(LULL + after)
    ended = time.monotonic()
    died = subject.process.poll() is not None
    samples: dict[str, list[Sample]] = {kind: watcher.end() for kind, watcher in watchers.items()}
    use = subject.group.use() if subject.group else None
    return Run(
        subject=subject.name,
        flood=flood.name,
        shared=shared,
        quiet={kind: seen(those, began, started) for kind, those in samples.items()},
        flooded={kind: seen(those, started, stopped) for kind, those in samples.items()},
        after={kind: seen(those, stopped + LULL, ended) for kind, those in samples.items()},
        reached=reached(running.pulses),
        resident=resident,
        charged=use.peak if use else None,
        sockets=use.sockets if use else None,
        limit=limit if subject.group else None,
        kills=use.kills if use else None,
        restarts=int(restarted) if subject.ours else None,
        compiled=compiled if subject.ours else None,
        died=died,
    )
