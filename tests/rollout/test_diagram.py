"""The picture of the rollout machine."""

from pathlib import Path
from typing import get_args

from canaryproxy.rollout.diagram import diagram
from canaryproxy.rollout.state import Phase


def test_the_diagram_of_the_documentation_is_that_of_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "rollouts.md"
    assert f"```mermaid\n{diagram()}\n```" in page.read_text("utf-8")


def test_the_diagram_has_every_phase() -> None:
    text = diagram()
    assert text.startswith("stateDiagram-v2\n  [*] --> idle")
    assert all(phase in text for phase in get_args(Phase))
    assert "progressing --> rolled_back: abort, the canary fails, took too long" in text
