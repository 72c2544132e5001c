"""The verbs of a rollout on the command line."""

import pytest

from canaryproxy.cli.rollout import sentence

TOLD = {
    "route": "shop", "phase": "progressing", "reason": None, "weight": 5.0, "next": 25.0, "estimate": 61.2, "durable": True,
    "step": 1, "steps": [1.0, 5.0, 25.0, 100.0], "why": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "shop: progressing, 5 % to canary, step 2 of 4, then 25 % in about 61 s"),
        ({"estimate": 4000.0}, "shop: progressing, 5 % to canary, step 2 of 4, then 25 % in about 67 min"),
        (
            {"phase": "paused", "reason": "manual", "next": None, "estimate": None},
            "shop: paused (manual), 5 % to canary, step 2 of 4",
        ),
        (
            {
                "phase": "rolled_back",
                "reason": "manual",
                "weight": 0.0,
                "next": None,
                "estimate": None,
                "durable": False,
            },
            "shop: rolled_back (manual), 0 % to canary; it could not be kept on the disk",
        ),
    ],
)
def test_where_it_stands_is_told_in_a_line(more: dict[str, object], words: str) -> None:
    assert sentence({**TOLD, **more}) == words
