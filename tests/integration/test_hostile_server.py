"""Commands that talk to a server which puts what it likes into every text of its answers: the terminal shows it and
follows none of it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app, output
from canaryproxy.cli.remote import Remote, segment
from tests.support.admin import Api
from tests.support.live import live

POISON = (
    "\x1b[5m\x1b]0;owned\x07\x9b5m\x7f\u202e\u2066\u2028\u200b\r\n12:00:00 forged [red]x[/red] [link=http://x]\ud800"
)

RULE = "{name: testers, headers: {x-tester: yes please}, to: canary}"

ALLOWED = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]")
"""What our own drawing writes: colours, and the cursor hidden and shown."""

COMMANDS: dict[str, list[str]] = {
    "status": ["status"],
    "a status": ["status", "shop"],
    "rules": ["rules", "shop"],
    "history": ["history", "shop"],
    "report": ["report", "shop"],
    "weight": ["weight", "shop", "5"],
    "canary": ["canary", "shop"],
    "start": ["start", "shop"],
    "abort": ["abort", "shop"],
    "waiting": ["status", "--wait"],
}


def poisoned(data: Any) -> Any:
    """The document with poison at the end of every text."""
    if isinstance(data, dict):
        return {key: poisoned(one) for key, one in data.items()}
    if isinstance(data, list):
        return [poisoned(one) for one in data]
    return data + POISON if isinstance(data, str) else data


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    honest: Callable[..., Any] = Remote._call

    async def call(remote: Remote, session: Any, method: str, path: str, body: object) -> tuple[Any, str]:
        data, tag = await honest(remote, session, method, path.replace(segment(POISON), ""), body)
        return poisoned(data), tag

    monkeypatch.setattr(Remote, "_call", call)


def harmless(shown: str) -> bool:
    left = ALLOWED.sub("", shown)
    return "\x1b[5m" not in shown and left.replace("\n", "").isprintable()


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("drawn", [True, False])
def test_no_command_passes_on_what_a_terminal_follows(
    command: str, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "is_rich", lambda *_: drawn)
    with live(Api()) as served:
        CliRunner().invoke(app, ["weight", "shop", "6", "--admin", served.url])
        CliRunner().invoke(app, ["rules", "shop", "--add", "-", "--admin", served.url], input=RULE)
        done = CliRunner().invoke(app, [*COMMANDS[command], "--admin", served.url], env={"COLUMNS": "300"})
    assert harmless(done.stdout)
    assert harmless(done.stderr)
    assert "\n12:00:00 forged" not in done.stdout + done.stderr
    assert "\\x1b[5m" in done.stdout + done.stderr, done.exception
    assert "[red]x[/red]" in ALLOWED.sub("", done.stdout + done.stderr)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("command", COMMANDS)
def test_json_reads_as_what_the_server_said_and_has_no_control_character(command: str) -> None:
    with live(Api()) as served:
        done = CliRunner().invoke(app, [*COMMANDS[command], "--json", "--admin", served.url])
    assert harmless(done.stdout)
    if done.stdout:
        assert POISON in str(next(iter(texts(json.loads(done.stdout)))))


def texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        data = list(data.values())
    return [text for one in data for text in texts(one)] if isinstance(data, list) else [data] * isinstance(data, str)


def test_an_error_that_no_code_foresees_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise ValueError(POISON)

    with pytest.raises(SystemExit) as ended:
        output.guarded(command)
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "ValueError: \\x1b[5m" in said
    assert harmless(said)
