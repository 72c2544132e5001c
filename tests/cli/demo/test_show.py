"""The demo, run for a moment in this process and shown as a terminal would show it."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.demo import show, traffic
from canaryproxy.model.failure import Outcome
from canaryproxy.telemetry.read.window import Window
from canaryproxy.telemetry.record.recorder import Recorder
from tests.telemetry.record.test_recorder import CANARY, STABLE


def test_the_demo_ends_by_itself_with_figures_of_both_versions() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["demo", "--play", "--seconds", "2", "--rate", "200", "--weight", "30"]
    )
    assert result.exit_code == 0, result.output
    served = re.search(r"([\d,]+) requests served, ([\d,]+) of them", result.output)
    assert served is not None
    assert int(served[2].replace(",", "")) > 0
    assert re.search(r"stable: \d+ requests .* canary: \d+ requests", result.output)


def test_in_a_terminal_the_figures_are_a_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(Console):
        """A terminal of a known width."""

        def __init__(self) -> None:
            super().__init__(force_terminal=True, width=120)

    monkeypatch.setattr(show, "Console", Screen)
    monkeypatch.setattr("sys.stdout", _Terminal())
    assert show.run_demo(weight=50, rate=100, seconds=1.5) == 0


class _Terminal:
    """A standard output that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keep it."""
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.mark.needs("curl")
def test_the_curl_lines_it_prints_work(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []
    explained: list[str] = []

    def try_them(console: object, base: str, path: Path, instance: object) -> None:
        introduce(console, base, path, instance)  # type: ignore[arg-type]
        lines.extend(
            shlex.split(line)
            for line in (
                f"curl {base}/",
                f"curl {base}/products",
                f"curl -H 'Content-Type: application/json' -d '{{\"product\": 2}}' {base}/cart",
                f"curl -H '{show.TESTER}' {base}/",
                *[f"curl -c {path.parent}/jar -b {path.parent}/jar {base}/account"] * 5,
            )
        )
        explained.extend(show.explained(path, ["--header", show.TESTER, "GET", f"{base}/"]))
        explained.extend(show.explained(path, ["GET", f"{base}/account"]))

    lines: list[list[str]] = []
    introduce = show._introduce
    ticks = traffic.ticks

    async def run_lines(*arguments: object) -> None:
        import asyncio

        for line in lines:
            done = await asyncio.to_thread(
                subprocess.run, [line[0], "-sS", "-m", "5", *line[1:]], capture_output=True, text=True, check=True
            )
            answers.append(done.stdout)
        await ticks(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(show, "_introduce", try_them)
    monkeypatch.setattr(show, "ticks", run_lines)
    assert show.run_demo(weight=0, rate=10, seconds=0.5) == 0
    assert "Welcome to the shop" in answers[0]
    assert "bird cage" in answers[1]
    assert '"added": {"product": 2}' in answers[2]
    assert "new shop" in answers[3]
    assert len(set(answers[4:])) == 1
    assert explained[1] == "    canary, because rule testers sends 100 % to canary"
    assert "a new client gets a cookie" in explained[3]


def test_without_traffic_the_figures_are_unknown() -> None:
    assert show.line(show.rows(Window(), 10, 1.0)).startswith("stable: 0 requests (-), errors -, p50 -, p95 -")


def test_figures_are_shares_rates_and_quantiles_per_version() -> None:
    window, recorder = Window(), Recorder()
    for number in range(90):
        recorder.start(STABLE, 100.5).finish(Outcome.SUCCESS, 200 if number else 500, 0.02, 0.01)
    for _ in range(10):
        recorder.start(CANARY, 100.5).finish(Outcome.SUCCESS, 200, 0.02, 0.04)
    window.add(recorder.flush(1, 105.0, []))
    stable, canary = show.rows(window, 12.5, 105.0)
    assert stable[:5] == ["stable", "90", "87.5 %", "90.00 %", "9.0"]
    assert canary[:4] == ["canary", "10", "12.5 %", "10.00 %"]
    assert 39 < float(canary[7].removesuffix(" ms")) < 41
