"""An abort counted at the canary: whatever led there, in whatever phase, nothing arrives once the 200 is here."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.e2e.test_rollout import cli
from tests.support.nginx import wait_for
from tests.support.process import canaryproxy

PATIENCE = 10.0

ROUTES = {
    "weight": "weight: 60",
    "affinity": "weight: 60, affinity: {header: x-user}",
    "rule": "rules: [{name: r, methods: [GET], to: canary, percent: 60}]",
    "around": "rules: [{name: r, methods: [GET], to: stable, percent: 40}]",
    "fallback": "fallback: both, stable: {url: 'http://127.0.0.1:1', health: {path: /, interval: 100ms, unhealthy: 1}}",
    "unhealthy-none": "fallback: both, stable: 'http://127.0.0.1:1'",
    "mirror": "mirror: {percent: 100}",
    "step": "rollout: {steps: [{weight: 0, for: 1h, mirror: {percent: 100}, "
    "rules: [{name: s, headers: {x-odd: '1'}, to: canary}]}, 100]}",
    "paused": "rollout: {steps: [50, 100]}, shield: true",
    "baking": "rollout: {steps: [100], prove_above: 100%}, fallback: both",
    "succeeded": "rollout: {steps: [100], prove_above: 100%}",
    "preview": "mirror: {percent: 100}, fallback: both, "
    "rules: [{name: p, headers: {x-odd: '1'}, to: canary, preview: true}]",
}
"""By what makes the canary reachable. Each request that is odd says so."""

VERBS = {"step": ["start"], "paused": ["start", "pause"], "baking": ["start"], "succeeded": ["start", "promote"]}
PHASES = {"step": "progressing", "paused": "paused", "baking": "baking", "succeeded": "succeeded"}


class Counting(BaseHTTPRequestHandler):
    """Counts by host what arrives."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer."""
        server: Any = self.server
        server.seen[self.headers["Host"]] += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def origin() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    server.daemon_threads, server.seen = True, Counter()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask(port: int, host: str, count: int = 20) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for number in range(count):
        connection.request("GET", "/", headers={"Host": host, "X-Odd": str(number % 2), "X-User": f"u{number}"})
        connection.getresponse().read()
    connection.close()


def post(admin: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=PATIENCE)
    connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data: dict[str, Any] = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, data
    return data


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def settled(origin: Any) -> None:
    """Wait for copies that were on the wire before the abort: a busy machine counts them late."""
    before, calm = -1, 0
    while calm < 5:
        seen = sum(origin.seen.values())
        before, calm = seen, calm + 1 if seen == before else 0
        time.sleep(0.05)


def test_nothing_reaches_an_aborted_canary_by_any_path_in_any_phase(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    with origin() as stable, origin() as canary:
        path = tmp_path / "abort.yaml"
        there = f"stable: 'http://127.0.0.1:{stable.server_address[1]}', "
        lines = [
            f"  {name}: {{hosts: [{name}.test], {'' if 'stable: ' in more and name != 'around' else there}"
            f"canary: 'http://127.0.0.1:{canary.server_address[1]}', analysis: off, {more}}}"
            for name, more in ROUTES.items()
        ]
        path.write_text(
            f"server: {{listen: '127.0.0.1:{port}', workers: 2, state: memory, admin: {{listen: '127.0.0.1:{admin}'}}}}\n"
            "routes:\n" + "\n".join(lines) + "\n"
        )
        with canaryproxy(tmp_path, str(path), port=port):
            wait_for(admin)
            for name, verbs in VERBS.items():
                data = [post(admin, f"/api/v1/routes/{name}/rollout/{verb}") for verb in verbs]
                assert data[-1]["phase"] == PHASES[name]

            def reached(name: str) -> bool:
                ask(port, f"{name}.test")
                return bool(canary.seen[f"{name}.test"])

            for name in ROUTES:
                until(lambda name=name: reached(name))  # type: ignore[misc]
                data = [post(admin, f"/api/v1/routes/{name}/rollout/abort")]
                assert (data[0]["phase"], data[0]["reason"], data[0]["weight"]) == ("rolled_back", "manual", 0)
            settled(canary)
            canary.seen.clear()
            for name in ROUTES:
                ask(port, f"{name}.test")
            time.sleep(0.2)
            assert {host: count for host, count in canary.seen.items() if host != "preview.test"} == {}
            assert canary.seen["preview.test"] == 10
            for name in ROUTES:
                assert post(admin, f"/api/v1/routes/{name}/rollout/abort")["phase"] == "rolled_back"


def test_where_nothing_reaches_it_an_abort_changes_nothing_and_says_so(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    with origin() as stable, origin() as canary:
        where = [f"http://127.0.0.1:{one.server_address[1]}" for one in (stable, canary)]
        path = tmp_path / "idle.yaml"
        path.write_text(
            f"server: {{listen: '127.0.0.1:{port}', workers: 1, state: memory, admin: {{listen: '127.0.0.1:{admin}'}}}}\n"
            f"stable: {where[0]}\ncanary: {where[1]}\nrules: [{{name: r, methods: [GET], to: canary, percent: 0}}]\n"
        )
        with canaryproxy(tmp_path, str(path), port=port):
            wait_for(admin)
            data = post(admin, "/api/v1/routes/default/rollout/abort")
            assert (data["phase"], data["reason"]) == ("idle", None)

            assert (
                cli(admin, "abort", "default")[1]
                .strip()
                .endswith("the canary receives no traffic, nothing was changed")
            )
