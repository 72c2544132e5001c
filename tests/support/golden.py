"""What a version says of a stored state when it starts on it: the same questions for the old and for the new one."""

import asyncio
import json
import math
import random
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canaryproxy.analysis.finding import JudgeReport
from canaryproxy.config import parse
from canaryproxy.config.rules_document import rule_as_written
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.processes.subscriptions import Subscription
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.admin import FakeWorkers
from tests.support.plane import outside

NOW = 5_000.0
"""The clock of the deltas when it starts."""

AWAY = 30.0
"""Seconds after the last entry that it starts."""


ROUNDING = 0.0 if sys.version_info < (3, 12) else 1e-9


class Started(ControlPlane):
    """A control plane on a stored state, without processes; nothing passes but what a test lets pass."""

    def __init__(self, path: Path, routes: str, wall_clock: float) -> None:
        self.clock = NOW
        self.wall_clock = wall_clock
        self.store = SqliteStore(path)
        world = outside(lambda: self.clock, lambda: self.wall_clock, post=self.post, rng=random.Random(3).random)
        super().__init__(parse(routes, "golden", {}), None, self.store, FakeWorkers(), Subscription(), world)

    async def post(self, *_: object) -> str:
        return ""

    async def start(self) -> None:
        """As the instance does it."""
        await self.reconfiguration.start()
        await self.rollouts.load_evidence()

    async def end(self) -> None:
        """So that another one may start on the file."""
        self.stop()
        await self.close()

    async def said(self) -> dict[str, Any]:
        """All that it knows."""
        return {"wall": self.wall_clock, "routes": {name: await self._route(name) for name in self.ledger.state}}

    async def _route(self, name: str) -> dict[str, Any]:
        state = self.ledger.state[name]
        rollout = state.rollout
        return {
            "weight": state.weight,
            "source": state.weight_source,
            "file_weight": state.file_weight,
            "file_rules": state.file_rules,
            "rules_source": state.rules_source,
            "latched": state.latched,
            "off": state.off,
            "rules": [rule_as_written(rule) for rule in self.controller.rules(name)],
            "phase": rollout.phase,
            "reason": rollout.reason,
            "why": rollout.why,
            "step": rollout.step,
            "steps": [[step.weight, step.dwell, step.hold] for step in rollout.steps],
            "rollout": rollout.weight,
            "began": rollout.began,
            "since": rollout.since,
            "step_since": rollout.step_since,
            "timeout_at": rollout.timeout_at,
            "released": rollout.released,
            "before": rollout.before,
            "controls": rollout.controls,
            "warned": rollout.warned,
            "lost": self.observations.observe(name).lost,
            "analysis": plain(self.judges.analysis(name, self.clock)),
            "history": [asdict(one) for one in await self.ledger.history(name, 100)],
            **since(state),
        }


def since(state: Any) -> dict[str, Any]:
    """What 64e2905 did not know."""
    if not hasattr(state, "past"):
        return {}
    past = [
        {**asdict(one.identity), "result": one.result, "by": one.superseded_by, "report": one.report}
        for one in state.past
    ]
    canary = None if state.canary is None else state.canary.written
    return {
        "identity": asdict(state.rollout.identity),
        "past": json.loads(json.dumps(past)),
        "waiting": state.waiting,
        "heard": dict(state.heard),
        "canary": canary,
        "file_canary": state.file_canary,
    }


def plain(analysis: JudgeReport) -> Any:
    """Every number of every check, for JSON, which keeps floats to the last bit. Two fields have the names that they had
    when the golden files were written.
    """
    found = json.loads(json.dumps(asdict(analysis)))
    found["alone"] = found.pop("uncontrolled")
    found["exposed"]["beyond"] = found["exposed"].pop("excess_failures")
    return found


def alike(old: Any, new: Any) -> bool:
    """Whether what Python 3.11 wrote is the same, to the last bit there. From Python 3.12 on `sum` compensates for the
    rounding of floats, and numbers may differ by that.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(alike(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(alike, old, new))
    if isinstance(old, float) and isinstance(new, float):
        return (math.isnan(old) and math.isnan(new)) or math.isclose(old, new, rel_tol=ROUNDING)
    return bool(old == new)


def last_entry(path: Path) -> float:
    """When the last change was made, or evidence was last written."""
    with closing(sqlite3.connect(path)) as connection:
        times = [connection.execute("SELECT max(at) FROM history").fetchone()[0] or 1e9]
        if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'learnt'").fetchone()[0]:
            times += [json.loads(row[0])["at"] for row in connection.execute("SELECT told FROM learnt")]
        return float(max(times))


def observed(path: Path, routes: str, wall_clock: float | None = None) -> dict[str, Any]:
    """Start on the file, and say what it is taken for."""

    async def look() -> dict[str, Any]:
        started = Started(path, routes, last_entry(path) + AWAY if wall_clock is None else wall_clock)
        await started.start()
        try:
            return await started.said()
        finally:
            await started.end()

    return asyncio.run(look())
