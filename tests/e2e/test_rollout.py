"""A rollout from the command line, with a real process and real traffic: exit codes are fit for CI."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.e2e.test_judgement import reported, traffic, versions
from tests.support.nginx import wait_for
from tests.support.process import ROOT, canaryproxy

__all__ = ["versions"]


def cli(admin: int, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "canaryproxy", *words, "--admin", f"http://127.0.0.1:{admin}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=90)
    return done.returncode, done.stdout or done.stderr


def test_a_good_canary_is_promoted_and_a_bad_one_rolled_back(versions: dict[str, Any], tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    ports = {name: server.server_address[1] for name, server in versions.items()}
    path = tmp_path / "rollout.yaml"
    path.write_text(
        f"server: {{listen: '127.0.0.1:{port}', workers: 2, state: '{tmp_path}/state.db', "
        f"admin: {{listen: '127.0.0.1:{admin}'}}}}\n"
        f"routes: {{shop: {{stable: 'http://127.0.0.1:{ports['stable']}', canary: 'http://127.0.0.1:{ports['canary']}', "
        "rollout: {steps: [20, 50, 100], every: 1s, bake: 1s, prove_above: 100%}, "
        "analysis: {latency: off, min_requests: 10}}}\n"
    )
    with canaryproxy(tmp_path, str(path), port=port):
        wait_for(admin)
        with traffic(port):
            assert cli(admin, "pause", "shop")[0] == 1
            status, words = cli(admin, "start", "shop")
            assert (status, words.split(" in about")[0]) == (
                0,
                "shop: progressing, 20 % to canary, step 1 of 3, then 50 %",
            )
            assert cli(admin, "weight", "shop", "5")[0] == 1
            status, words = cli(admin, "status", "shop", "--wait", "--timeout", "60s")
            rollout = reported(admin, "/api/v1/routes/shop/rollout")["id"]
            assert (status, words.strip().splitlines()[-1]) == (0, f"shop succeeded, rollout {rollout}"), words
            assert reported(admin, "/api/v1/routes/shop")["weight"] == 100
            assert cli(admin, "reset", "shop")[1].startswith("shop: idle, 0 % to canary")
            versions["canary"].status = 500
            assert cli(admin, "start", "shop")[0] == 0
            status, words = cli(admin, "status", "shop", "--wait", "--timeout", "60s")
            assert status == 1, words
            assert words.strip().splitlines()[-1].startswith("shop rolled_back, rollout "), words
            why = reported(admin, "/api/v1/routes/shop/rollout")["why"]
            assert why.startswith("canary failed ")
            history = json.loads(cli(admin, "history", "shop", "--json")[1])["entries"]
            assert "rolled back at 20 %: canary failed" in history[0]["detail"]
            assert (history[0]["actor"], history[0]["action"]) == ("canaryproxy", "rollout")
            assert cli(admin, "retry", "shop", "--json")[0] == 0
            assert cli(admin, "abort", "shop")[1].startswith("shop: rolled_back (")
    with canaryproxy(tmp_path, str(path), port=port):
        wait_for(admin)
        assert reported(admin, "/api/v1/routes/shop")["phase"] == "rolled_back"
        listed = reported(admin, "/api/v1/routes/shop/rollouts")["rollouts"]
        assert [one["result"] for one in listed] == ["rolled_back", "rolled_back", "succeeded"]
        assert listed[2]["id"] == rollout
        report = reported(admin, f"/api/v1/routes/shop/rollouts/{rollout}/report")
        assert (report["result"], report["exposed"]["requests"] > 0) == ("succeeded", True)
