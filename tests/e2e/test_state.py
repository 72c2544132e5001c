"""The real process and its state: taken up after a kill of an older version, left as it is where it is not ours."""

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from canaryproxy.config import parse
from canaryproxy.control.evidence import identity
from canaryproxy.control.fingerprint import fingerprint, heard_of
from tests.data.state.make import CANARY, STABLE, restored
from tests.e2e.test_judgement import analysis_until, reported, traffic, versions
from tests.e2e.test_rollout import cli
from tests.support.nginx import wait_for
from tests.support.process import ROOT, canaryproxy

__all__ = ["versions"]

STATES = ROOT / "tests" / "data" / "state"
GOLDEN = STATES / "64e2905"


def config(folder: Path, routes: str, port: int, admin: int) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        f"server: {{listen: '127.0.0.1:{port}', workers: 1, state: '{folder}/state.db', "
        f"admin: {{listen: '127.0.0.1:{admin}'}}}}\n{routes}"
    )
    return path


def sql(path: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


def samples(analysis: dict[str, Any]) -> int:
    """The canary's requests at this step that were judged."""
    errors = next(one for one in analysis["checks"] if one["name"] == "errors")
    return int(errors["samples"]["canary"])


def digests(folder: Path) -> dict[str, str]:
    found = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.glob("state.db*")}
    return {name: digest for name, digest in found.items() if not name.endswith(".lock")}


def moved(state: Path, routes: str) -> None:
    """Let a state be about versions at other ports."""
    route = parse(routes, "", {}).routes["shop"]
    sql(state, "UPDATE learnt SET told = json_set(told, '$.of', ?)", identity(route))
    heard, canary = heard_of(route), fingerprint(route).canary
    sql(
        state,
        "UPDATE routes SET state = json_set(state, '$.heard', json(?), '$.file_canary', ?) "
        "WHERE json_extract(state, '$.heard') IS NOT NULL",
        json.dumps(heard),
        canary,
    )


@pytest.mark.parametrize("version", ["64e2905", "d8fb47b"])
def test_a_rollout_that_was_killed_under_the_version_before_goes_on(
    version: str, versions: dict[str, Any], tmp_path: Path
) -> None:
    """`progressing` is what a version left when it was killed with `kill -9` in the middle of a step, under traffic."""
    port, admin, golden = free_port(), free_port(), STATES / version
    routes = (golden / "progressing.yaml").read_text()
    for name, fixed in (("stable", STABLE), ("canary", CANARY)):
        routes = routes.replace(str(fixed), str(versions[name].server_address[1]))
    moved(restored(golden / "progressing.sql", tmp_path / "state.db"), routes)
    before = json.loads((golden / "progressing.json").read_text())["routes"]["shop"]
    with canaryproxy(tmp_path, str(config(tmp_path, routes, port, admin)), port=port) as proxy:
        wait_for(admin)
        rollout = reported(admin, "/api/v1/routes/shop/rollout")
        assert (rollout["phase"], rollout["step"], rollout["weight"]) == ("progressing", 1, 50)
        assert (rollout["began"], rollout["since"]) == (before["began"], before["since"])
        evidence = reported(admin, "/api/v1/routes/shop/analysis")
        was = {check["name"]: check for check in before["analysis"]["checks"]}
        for check in evidence["checks"]:
            if check["name"] != "check:quality":
                assert check["evidence"] == pytest.approx(was[check["name"]]["evidence"], rel=1e-4), check["name"]
        seen = samples(evidence)
        assert seen == was["errors"]["samples"]["canary"]
        with traffic(port):
            analysis_until(admin, lambda found: samples(found) > seen + 20)
        assert cli(admin, "promote", "shop")[0] == 0
        assert reported(admin, "/api/v1/routes/shop/rollout")["step"] == 2
        entries = reported(admin, "/api/v1/routes/shop/history")["entries"]
        assert [one["action"] for one in entries][-2:] == [one["action"] for one in before["history"]][-2:]
        assert "is not usable" not in proxy.log.read_text()
    assert not list(tmp_path.glob("*.damaged-*"))


def test_beside_a_state_of_a_newer_version_stable_is_served_and_the_file_stays(
    versions: dict[str, Any], tmp_path: Path
) -> None:
    port, admin = free_port(), free_port()
    sides = ", ".join(f"{name}: 'http://127.0.0.1:{one.server_address[1]}'" for name, one in versions.items())
    path = config(tmp_path, f"routes: {{shop: {{hosts: [a.test], {sides}, weight: 50}}}}\n", port, admin)
    state = restored(GOLDEN / "idle-api-weight.sql", tmp_path / "state.db")
    sql(state, "UPDATE routes SET state = json_set(state, '$.v', 2)")
    before = digests(tmp_path)
    with canaryproxy(tmp_path, str(path), port=port) as proxy:
        wait_for(admin)
        assert "written by a newer canaryproxy" in proxy.log.read_text()
        shop = reported(admin, "/api/v1/routes/shop")
        assert (shop["weight"], shop["state"]["condition"]) == (0, "too_new")
        assert "version" in shop["reason"]
        for words in (("weight", "shop", "5"), ("start", "shop"), ("reset", "shop")):
            status, said = cli(admin, *words)
            assert (status, "written by a newer canaryproxy" in said) == (1, True), words
        assert "state too new" in cli(admin, "status")[1]
        assert 'canaryproxy_state_condition{condition="too_new"} 1.0' in metrics(admin)
        path.write_text(path.read_text().replace("weight: 50}", f"weight: 60}}, blog: {{{sides}, weight: 100}}"))
        analysis_until(admin, lambda _: len(reported(admin, "/api/v1/routes")["routes"]) == 2)
        assert [one["weight"] for one in reported(admin, "/api/v1/routes")["routes"]] == [0, 0]
        status, said = cli(admin, "abort", "shop", "--json")
        assert (status, json.loads(said)["durable"]) == (0, False)
    assert digests(tmp_path) == before


def metrics(admin: int) -> str:
    command = [
        sys.executable,
        "-c",
        f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{admin}/metrics').read().decode())",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _database(path: Path) -> None:
    sql(path, "CREATE TABLE urls (id INTEGER)")


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a character device": (lambda path: path.symlink_to("/dev/null"), "a character device"),
    "a named pipe": (os.mkfifo, "a named pipe"),
    "a directory": (Path.mkdir, "a directory"),
    "another program's database": (_database, "a database of another program"),
    "a pipe in place of its lock": (lambda path: os.mkfifo(f"{path}.lock"), "a named pipe"),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_cannot_be_the_state_is_said_at_the_start_and_stays(name: str, tmp_path: Path) -> None:
    make, words = PLACES[name]
    make(tmp_path / "state.db")
    before = {one.name: one.lstat().st_mtime_ns for one in tmp_path.iterdir()}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "canaryproxy",
            "run",
            "--stable",
            "http://127.0.0.1:1",
            "--canary",
            "http://127.0.0.1:2",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--state",
            str(tmp_path / "state.db"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert {one.name: one.lstat().st_mtime_ns for one in tmp_path.iterdir()} == before


def test_a_config_in_a_pipe_is_read_once_and_a_pipe_that_is_never_written_is_an_error(tmp_path: Path) -> None:
    pipe = tmp_path / "config.yaml"
    os.mkfifo(pipe)
    check = [sys.executable, "-m", "canaryproxy", "check"]
    with subprocess.Popen([*check, str(pipe)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        pipe.write_text("stable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\n")
        assert process.wait(60) == 0
    done = subprocess.run([*check, str(pipe)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode != 0
    assert "nothing was written into it" in done.stderr + done.stdout
