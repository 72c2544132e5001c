"""The story: run in this process for as long as a test may take, its sentences with a stage of cardboard."""

import asyncio
import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.demo import story
from canaryproxy.cli.demo.shop import CANARY, Stand
from canaryproxy.cli.demo.story import CHAPTERS, Chapter, _follow, _run_chapters
from canaryproxy.config import parse
from canaryproxy.rollout.state import Rollout


def test_the_story_begins_with_a_good_canary_and_ends_on_request() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["demo", "--seconds", "6", "--rate", "100"])
    assert result.exit_code == 0, result.output
    assert "canaryproxy status --watch --admin http://127.0.0.1:" in result.output
    assert "1. A good canary" in result.output
    assert "5 %" in result.output
    assert "The end." not in result.output


class Cardboard:
    """An instance whose rollouts follow a script."""

    admin_address = ("127.0.0.1", 1)

    def __init__(self, states: list[Rollout], reasons: list[str]) -> None:
        self.states, self.reasons = states, reasons
        self.verbs: list[str] = []
        self.plane = self.rollouts = self.judges = self

    def of(self, _: str) -> Rollout:
        return self.states[0] if len(self.states) == 1 else self.states.pop(0)

    def analysis(self, _: str, __: float) -> Any:
        return SimpleNamespace(reason=self.reasons[0] if len(self.reasons) == 1 else self.reasons.pop(0))

    async def do(self, _: str, verb: str, __: object) -> None:
        self.verbs.append(verb)


async def follow(chapter: Chapter, states: list[Rollout], reasons: list[str]) -> str:
    return await _follow(Console(file=io.StringIO()), Cardboard(states, reasons), chapter)  # type: ignore[arg-type]


async def test_each_chapter_ends_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    back = [Rollout("progressing", weight=500), Rollout("rolled_back", why="canary failed 3 of 29 users")]
    assert (await follow(CHAPTERS[1], back, [""])).endswith("rolled_back: canary failed 3 of 29 users")
    held = await follow(CHAPTERS[3], [Rollout("progressing", weight=2500)], ["", "cart: 10 of the canary's 50 users"])
    assert held.endswith("held at 25 %: cart: 10 of the canary's 50 users")
    monkeypatch.setattr(story, "TIMEOUT_SECONDS", 0.05)
    assert (await follow(CHAPTERS[0], [Rollout("progressing", weight=500)], ["needs more"])).endswith("needs more")


async def test_all_chapters_are_reported_and_cleared_up_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "QUIET_SECONDS", 0.0)
    out = io.StringIO()
    cardboard, stand = Cardboard([Rollout("progressing", weight=500)], ["cart: less"]), Stand(CANARY)

    async def at_once(*_: object) -> str:
        return "at once"

    monkeypatch.setattr(story, "_follow", at_once)
    await asyncio.wait_for(_run_chapters(Console(file=out, width=200), cardboard, stand), 60)  # type: ignore[arg-type]
    assert cardboard.verbs == ["start", "abort", "reset"] * 4
    assert [chapter.title in out.getvalue() for chapter in CHAPTERS] == [True] * 4
    assert stand.version == CHAPTERS[-1].version


def test_its_profile_is_a_config_that_holds_up() -> None:
    text = story.CONFIG.format(stable=1, canary=2, profile=story.PROFILE.replace(", analysis", "\n    analysis"))
    assert parse(text, "f", {}).routes["shop"].rollout.every == 6
