"""`canaryproxy check` as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy import MODE, __version__
from canaryproxy.cli import app, main

GOOD = """
routes:
  shop: {hosts: [shop.test], paths: [/, /x], stable: http://a:1, canary: http://a:1, weight: 0.25}
  rest: {stable: http://c:1, canary: http://d:1}
"""


@pytest.fixture
def invoke() -> CliRunner:
    return CliRunner(env={"COLUMNS": "200"})


def test_a_valid_file_is_shown_as_what_it_means(invoke: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(GOOD)
    result = invoke.invoke(app, ["check", str(path)])
    assert result.exit_code == 0
    for part in (
        "is valid; it listens on 127.0.0.1:8080",
        "shop.test",
        "/,/x",
        "0.25%",
        "any",
        "warning: routes.shop",
    ):
        assert part in result.output


def test_json_is_for_machines(invoke: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(GOOD)
    said = json.loads(invoke.invoke(app, ["check", "--json", str(path)]).output)
    assert said["valid"] is True
    assert said["routes"][0]["weight"] == 0.25
    path.write_text("stable: http://a:1\nwieght: 3\n")
    result = invoke.invoke(app, ["check", "--json", str(path)])
    assert result.exit_code == 1
    assert not json.loads(result.output)["valid"]


def test_a_broken_file_is_an_exit_code_and_a_line_to_fix(invoke: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("stable: http://a:1\ncanary: http://b:1\nwieght: 3\n")
    result = invoke.invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    assert f"{path}:3:" in result.output
    assert "weight" in result.output


def test_the_version_is_reported(invoke: CliRunner) -> None:
    assert invoke.invoke(app, ["--version"]).output == f"canaryproxy {__version__} ({MODE})\n"


def test_the_console_script_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["canaryproxy", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_rules_and_affinity_are_named_below_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("stable: http://a\ncanary: http://b\naffinity: cookie\nrules: [{name: testers, to: canary}]\n")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.output.endswith("default: rules testers\ndefault: affinity by cookie\n")
    (route,) = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)["routes"]
    assert (route["rules"], route["affinity"]) == (["testers"], "cookie")


def test_a_limit_of_files_that_is_too_low_is_a_warning(
    invoke: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canaryproxy.processes.machine.reachable_files", lambda: 256)
    path = tmp_path / "a.yaml"
    path.write_text("server: {workers: 2}\nstable: http://a:1\ncanary: http://b:1\n")
    assert "warning: server.limits.max_connections is 10000, but" in invoke.invoke(app, ["check", str(path)]).output
    said = json.loads(invoke.invoke(app, ["check", "--json", str(path)]).output)
    assert "192 clients are served at once" in said["warnings"][-1]
