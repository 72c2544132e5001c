"""schemathesis against the running API: whatever is sent, the answer is one that the OpenAPI describes."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.support.nginx import wait_for
from tests.support.process import canaryproxy

EXAMPLES = os.environ.get("CANARYPROXY_FUZZ", "60")
"""Generated cases per call and phase; `CANARYPROXY_FUZZ=1000 make test` looks longer."""

TOKEN = "a-token-for-the-fuzzer"


@pytest.mark.parametrize("tokens", ["[]", f"[{{name: fuzz, role: write, token: {TOKEN}}}]"], ids=["open", "guarded"])
def test_every_answer_is_a_documented_one(tokens: str, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    path = tmp_path / "fuzz.yaml"
    path.write_text(
        f"server: {{listen: '127.0.0.1:{port}', workers: 1, state: {tmp_path}/state.db, "
        f"admin: {{listen: '127.0.0.1:{admin}', tokens: {tokens}}}}}\n"
        "routes: {shop: {stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2', affinity: cookie, "
        "goals: [{name: purchase}]}}\n"
    )
    with canaryproxy(tmp_path, str(path), port=port) as proxy:
        wait_for(admin)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), "run", f"http://127.0.0.1:{admin}/openapi.json",
             "--exclude-path", "/api/v1/events", "--max-examples", EXAMPLES, "--seed", "20", "--no-color",
             *(["-H", f"Authorization: Bearer {TOKEN}"] if tokens != "[]" else [])],
            capture_output=True, text=True, cwd=tmp_path, timeout=200, check=False,
        )  # fmt: skip
        cases = re.search(r"(\d+) generated", done.stdout)
        assert done.returncode == 0, done.stdout[-6000:]
        assert cases is not None
        assert int(cases[1]) > 1000
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=60)
        connection.request("GET", "/readyz")
        assert json.loads(connection.getresponse().read())["status"] == "ready"
        connection.close()
        assert "Traceback" not in proxy.log.read_text()
