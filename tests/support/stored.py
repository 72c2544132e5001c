"""What a version writes: one route with every field, and golden states once they were read. Every version runs it."""

import json
import math
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from canaryproxy.analysis.finding import Exposure, Finding, JudgeReport, SampleSizes, report
from canaryproxy.analysis.judge import Judge
from canaryproxy.config import parse
from canaryproxy.config.canary_document import canary_set
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control import evidence
from canaryproxy.control.evidence import Evidence
from canaryproxy.control.judges import NO_ANALYSIS
from canaryproxy.control.state import RouteState
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.plan import Step
from canaryproxy.rollout.record import RolloutRecord
from canaryproxy.rollout.state import Rollout
from canaryproxy.storage.codec import read_state, write_state

RULES: list[dict[str, Any]] = [
    {
        "name": "team",
        "headers": {"x-team": "blue", "x-build": {"prefix": "nightly-"}, "x-id": {"regex": "[0-9]+"}},
        "to": "canary",
    },
    {
        "name": "flagged",
        "cookies": {"beta": {"present": True}, "old": {"present": False}},
        "query": {"preview": {"in": ["1", "yes"]}},
        "to": "canary",
        "preview": True,
        "analyse": True,
    },
    {"name": "listed", "headers": {"x-groups": {"item": "staff"}}, "to": "canary", "percent": 12.5},
    {
        "name": "office",
        "methods": ["GET", "POST"],
        "path": {"prefix": "/shop"},
        "sources": ["10.1.0.0/16", "2001:db8::/32"],
        "to": "stable",
    },
    {"name": "page", "path": "/a/b", "to": "stable"},
]
CANARY = {
    "url": "http://b",
    "connect_timeout": "2s",
    "health": {"path": "/h", "headers": {"x-key": "s"}, "unhealthy": 3},
}


def reported() -> dict[str, Any]:
    """What is stored of a rollout that has ended."""
    check = Finding(
        name="errors",
        verdict="pass",
        sentence="words",
        comparison="no difference shown",
        canary=0.01,
        stable=0.02,
        ratio=0.5,
        interval=(0.25, None),
        unit="request",
        samples=SampleSizes(canary=640, stable=1280),
        p=0.5,
    )
    found = JudgeReport(
        verdict="pass",
        reason="fine",
        evidence=1.0,
        threshold=100.0,
        checks=(check,),
        seconds=9.0,
        weight=500,
        exposed=Exposure(requests=640, failed=13, excess_failures=12.42),
    )
    return report(found, 17)


def route_state() -> RouteState:
    """One with every field at another value than its default."""
    rollout = Rollout(
        phase="paused",
        reason="manual",
        why="by jo",
        step=1,
        weight=2000,
        began=10.5,
        since=20.5,
        step_since=30.5,
        steps=(Step(2000, 3600.0), Step(5000, 1.5, hold=True, extra={"name": "half"}), Step(10_000, 60.0)),
        timeout_at=40.5,
        released=True,
        before="baking",
        controls=2,
        warned=True,
        identity=RolloutIdentity(id="20261128-020013-k3f9z", given="v2", announced="v2-rc", stable="v1"),
    )
    past = RolloutRecord(
        identity=RolloutIdentity(id="20261127-020013-aaaaa", given="v1", stable="v0"),
        result="superseded",
        reason="superseded",
        why="why",
        began=1.5,
        ended=2.5,
        superseded_by="20261128-020013-k3f9z",
        report=reported(),
    )
    return RouteState(
        weight=2000,
        weight_source="rollout",
        file_weight=500,
        file_rules="abc",
        latched="damaged",
        rollout=rollout,
        rules=RuleSet(rules_from_written(RULES)),
        past=(past,),
        waiting=700,
        canary=canary_set(CANARY),
        file_canary="def",
        heard={"canary": "http://b", "stable": "http://a", "plan": "20 for 3600; timeout auto", "analysis": "on"},
    )


def one_evidence() -> Evidence:
    """What is stored beside a judge's evidence, of a judge that has seen nothing worth it."""
    return Evidence(at=5.25, of="abc", version="v2", step=1.5, lost=0.5, judge={"v": 1, "unit": "request"})


def rows(path: Path, table: str) -> dict[str, str]:
    """The documents of a table by name."""
    with closing(sqlite3.connect(path)) as connection:
        known = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        return dict(connection.execute(f"SELECT * FROM {table}").fetchall()) if known else {}


def written_again(path: Path, routes: str) -> dict[str, dict[str, str]]:
    """Every document of a state, read and written by this version."""
    config = parse(routes, "golden", {})
    states = {name: write_state(read_state(text)) for name, text in rows(path, "routes").items()}
    known = {name: evidence.load(text) for name, text in rows(path, "learnt").items()}
    return {
        "routes": states,
        "evidence": {
            name: evidence.dump(replace(one, judge=_judged_again(config.routes[name], one.judge)))
            for name, one in known.items()
        },
    }


def _judged_again(route: Any, stored: dict[str, Any]) -> dict[str, Any]:
    """A judge's evidence once a judge has taken it up, at a moment at which no float has to be rounded."""
    judge = Judge(route.spec or NO_ANALYSIS, affinity=route.affinity is not None, rng=random.Random(3).random)
    now = next((age - math.floor(age) for age in stored["warm"].values()), 0.0)
    judge.restore(json.loads(json.dumps(stored)), now)
    found: dict[str, Any] = judge.snapshot(now)
    return found
