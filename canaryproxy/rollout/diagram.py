"""The rollout machine as a picture, drawn from its table. Pure."""

from canaryproxy.rollout.machine import TABLE, stay
from canaryproxy.rollout.state import Kind, Phase

NAMES: dict[Kind, str] = {"changed": "another canary", "removed": "no canary any more", "added": "a canary again"}
"""What no operator asks for, in words."""


def diagram() -> str:
    """The table as a state diagram (Mermaid)."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for row in TABLE:
        for phase in row.phases:
            for to in row.to if row.act is not stay else ():
                words = row.when if row.kind == "tick" else f"{row.kind}{f' ({row.when})' if row.when else ''}"
                words = NAMES.get(row.kind, words)
                if (phase != to or row.kind == "tick") and row.kind != "named":
                    arrows.setdefault((phase, to), []).append(words)
    lines = [f"  {phase} --> {to}: {', '.join(dict.fromkeys(words))}" for (phase, to), words in arrows.items()]
    return "\n".join(["stateDiagram-v2", "  [*] --> idle", *lines])
