"""The diagram of the rollout state machine in the documentation is that of its table."""

from pathlib import Path
from typing import get_args

from canaryproxy.rollout.machine import TABLE, stay
from canaryproxy.rollout.state import Kind, Phase

NAMES: dict[Kind, str] = {"changed": "canary changed", "removed": "canary removed", "added": "canary added"}
"""Labels of events that no operator asks for."""


def diagram() -> str:
    """The table as a state diagram (Mermaid)."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for row in TABLE:
        for phase in row.phases:
            for to in row.to if row.act is not stay else ():
                label = row.when if row.kind == "tick" else f"{row.kind}{f' ({row.when})' if row.when else ''}"
                label = NAMES.get(row.kind, label)
                if (phase != to or row.kind == "tick") and row.kind != "named":
                    arrows.setdefault((phase, to), []).append(label)
    lines = [f"  {phase} --> {to}: {', '.join(dict.fromkeys(labels))}" for (phase, to), labels in arrows.items()]
    return "\n".join(["stateDiagram-v2", "  [*] --> idle", *lines])


def test_the_diagram_of_the_documentation_is_that_of_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "rollouts.md"
    assert f"```mermaid\n{diagram()}\n```" in page.read_text("utf-8")


def test_the_diagram_has_every_phase() -> None:
    text = diagram()
    assert text.startswith("stateDiagram-v2\n  [*] --> idle")
    assert all(phase in text for phase in get_args(Phase))
    assert "progressing --> rolled_back: abort, the canary fails, took too long" in text
