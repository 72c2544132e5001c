"""`canaryproxy run` as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.app import supervisor
from canaryproxy.cli import app
from canaryproxy.config import Config

TWO = ["--stable", "http://a:1", "--canary", "http://b:1"]
ASIDE = ["--admin-listen", "127.0.0.1:0", "--state", "memory"]
"""What else is opened before a problem is found: no fixed port, no file in the working directory."""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, Path | None]]:
    calls: list[tuple[Config, Path | None]] = []

    def run(config: Config, *, load: object, path: Path | None) -> int:
        assert (load is None) == (path is None)
        calls.append((config, path))
        return 0

    monkeypatch.setattr(supervisor, "run", run)
    return calls


def test_two_urls_and_a_weight_are_enough(ran: list[tuple[Config, Path | None]]) -> None:
    result = CliRunner().invoke(app, ["run", *TWO, "--weight", "0.25", "--listen", ":0"])
    assert result.exit_code == 0, result.output
    assert (ran[0][0].routes["default"].weight, ran[0][1]) == (25, None)


def test_a_file_is_run_and_can_be_read_again(ran: list[tuple[Config, Path | None]], tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("stable: http://a:1\ncanary: http://b:1\n")
    assert CliRunner().invoke(app, ["run", str(path)]).exit_code == 0
    assert ran[0][1] == path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give a config file, or --stable URL"),
        (["--canary", "http://a:1"], 2, "give a config file, or --stable URL"),
        (["some.yaml", "--weight", "5"], 2, "--weight cannot be combined with the config file some.yaml"),
        (["nowhere.yaml"], 1, "nowhere.yaml"),
        ([*TWO, "--weight", "101"], 1, "--weight"),
        ([*TWO, *ASIDE, "--listen", "192.0.2.1:80"], 1, "cannot listen on 192.0.2.1:80"),
    ],
)
def test_what_does_not_work_is_said_with_its_exit_code(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, ["run", *arguments])
    assert result.exit_code == code
    assert said in " ".join(result.output.split())
