"""The options of `canaryproxy probe`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy import __main__ as entry
from canaryproxy.cli import app
from tests.test_probe import ALIVE, answering


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dead"], "expected live or ready"),
        (["--timeout", "0"], "expected seconds"),
        (["--port", "1"], "No such option"),
    ],
)
def test_wrong_usage_is_said_and_is_code_2(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["probe", *arguments])
    assert done.exit_code == 2
    assert words in done.output


def test_it_asks_the_socket(tmp_path: Path) -> None:
    with answering(tmp_path / "a", ALIVE):
        done = CliRunner().invoke(app, ["probe", "ready", "--socket", str(tmp_path / "a")])
    assert (done.exit_code, done.output) == (0, "ready\n")
    assert CliRunner().invoke(app, ["probe", "--socket", str(tmp_path / "b")]).exit_code == 1


def test_the_console_script_leaves_what_is_not_plain_to_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["canaryproxy", "probe", "--help"])
    with pytest.raises(SystemExit):
        entry.main()
    assert "--socket" in capsys.readouterr().out
