"""The how-to for CI, run as it stands there against a real instance: good, bad, fixed, and two versions at once."""

import contextlib
import http.server
import json
import os
import re
import stat
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.e2e.test_judgement import traffic
from tests.support.nginx import wait_for
from tests.support.process import ROOT, canaryproxy
from tests.support.workflow import Done, job, run

BAD = "bad"
"""What a version fails all requests by whose name begins so."""

KUBECTL = """#!{python}
# Does for the how-to what a cluster would: `set image` makes a server of the test another version.
import sys, urllib.request
words = sys.argv[1:]
if words[:2] == ["set", "image"]:
    side, image = words[2].removeprefix("deployment/app-"), words[3].removeprefix("app=registry/app:")
    urllib.request.urlopen("http://127.0.0.1:" + {ports}[side] + "/become?" + image, timeout=10).read()
    print("deployment.apps/app-" + side + " image updated")
elif words[:2] == ["rollout", "status"]:
    print(words[2] + " successfully rolled out")
else:
    sys.exit("unknown: " + " ".join(words))
"""

CANARYPROXY = """#!/bin/sh
cd {root} && exec {python} -m canaryproxy "$@"
"""


class Version(http.server.BaseHTTPRequestHandler):
    """Says what it is, and fails where its name says so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, or become another version."""
        server: Any = self.server
        if self.path.startswith("/become?"):
            server.version = self.path.partition("?")[2]
        self.send_response(500 if self.path == "/" and server.version.startswith(BAD) else 200)
        self.send_header("X-Version", server.version)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Cluster:
    """The instance, both versions, and what a runner has."""

    admin: int
    folder: Path
    servers: dict[str, Any]

    def push(self, sha: str) -> Done:
        """Run the job of a commit."""
        path = f"{self.folder}:{os.environ['PATH']}"
        admin = f"http://127.0.0.1:{self.admin}"
        return run(sha, self.folder, {"CANARYPROXY_ADMIN": admin, "CANARYPROXY_TOKEN": "secret", "PATH": path})

    def info(self) -> list[str]:
        """The labels of every series of the info metric."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            return re.findall(r"^canaryproxy_rollout_info\{(.*)\} 1\.0$", answer.read().decode(), re.MULTILINE)


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@contextlib.contextmanager
def cluster(tmp_path: Path, rollout: str) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        servers: dict[str, Any] = {}
        for side in ("stable", "canary"):
            server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Version)
            server.daemon_threads, server.version = True, "v1"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            servers[side] = server
        ports = {side: str(server.server_address[1]) for side, server in servers.items()}
        executable(tmp_path / "kubectl", KUBECTL.format(python=sys.executable, ports=ports))
        executable(tmp_path / "canaryproxy", CANARYPROXY.format(python=sys.executable, root=ROOT))
        port, admin = free_port(), free_port()
        health = "health: {path: /healthz, interval: 500ms, version_header: x-version}"
        (tmp_path / "app.yaml").write_text(
            f"server: {{listen: '127.0.0.1:{port}', workers: 1, state: '{tmp_path}/state.db', "
            f"admin: {{listen: '127.0.0.1:{admin}', tokens: [{{name: ci, role: write, token: secret}}]}}}}\n"
            f"routes: {{app: {{stable: {{url: 'http://127.0.0.1:{ports['stable']}', {health}}}, "
            f"canary: {{url: 'http://127.0.0.1:{ports['canary']}', {health}}}, rollout: {{{rollout}}}, "
            "analysis: {latency: off, min_requests: 10}}}\n"
        )
        stack.enter_context(canaryproxy(tmp_path, str(tmp_path / "app.yaml"), port=port))
        wait_for(admin)
        stack.enter_context(traffic(port))
        yield Cluster(admin, tmp_path, servers)


FAST = "steps: [50, 100], every: 500ms, bake: 500ms, prove_above: 100%"


def test_a_good_version_a_bad_one_the_fix_and_two_that_overlap(tmp_path: Path) -> None:
    with cluster(tmp_path, FAST) as it:
        good = it.push("v2")
        assert good.code == 0, good.text
        first = good.outputs["begin"]["id"]
        assert f"app succeeded, version v2, rollout {first}" in good.text
        assert f"app: rollout {first} of v2 beside v1, succeeded" in good.text
        assert [server.version for server in it.servers.values()] == ["v2", "v2"]

        (idle,) = it.info()
        assert 'rollout="",route="app"' in idle

        bad = it.push("bad3")
        assert bad.code == 1, bad.text
        assert f"app rolled_back, version bad3, rollout {bad.outputs['begin']['id']}: canary failed" in bad.text
        assert "of bad3 beside v2, rolled back: canary failed" in bad.text
        assert it.servers["stable"].version == "v2"
        mine = bad.outputs["begin"]["id"]
        assert it.info() == [f'canary_version="bad3",rollout="{mine}",route="app",stable_version="v2"']
        again = it.push("bad3")
        assert again.code == 1, again.text
        assert "begin" in again.outputs
        assert "bad3 was rolled back (verdict: canary failed" in again.text

        fixed = it.push("v4")
        assert fixed.code == 0, fixed.text
        assert it.servers["stable"].version == "v4"


def test_a_job_learns_that_the_rollout_of_another_one_took_the_place_of_its_own(tmp_path: Path) -> None:
    with cluster(tmp_path, FAST.replace("every: 500ms", "every: 2s")) as it:
        jobs: dict[str, Done] = {}
        early = threading.Thread(target=lambda: jobs.update(v2=it.push("v2")))
        early.start()
        deadline = threading.Event()
        for _ in range(600):
            if _phase(it.admin) == "progressing":
                break
            deadline.wait(0.05)
        jobs["v3"] = it.push("v3")
        early.join(60)
        one, two = (jobs[name].outputs["begin"]["id"] for name in ("v2", "v3"))
        assert jobs["v2"].code == 4, jobs["v2"].text
        assert f"app superseded, version v2, rollout {one}: rollout {two} of v3 took its place" in jobs["v2"].text
        assert jobs["v3"].code == 0, jobs["v3"].text
        assert it.servers["stable"].version == "v3"


def _phase(admin: int) -> str:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{admin}/api/v1/routes/app", headers={"Authorization": "Bearer secret"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(json.load(answer)["phase"])


def test_the_job_does_everything_by_the_id_of_its_own_rollout() -> None:
    own = [step["run"] for step in job()["steps"] if "canaryproxy" in step["run"]]
    assert len(own) == 4
    assert all("--version" in one or "--rollout ${{ steps.begin.outputs.id }}" in one for one in own)
