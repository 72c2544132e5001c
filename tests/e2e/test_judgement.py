"""The real process judges: what fails is reported by API, event and metric; sources are asked, Prometheus and
endpoints.
"""

import http.client
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from tests.support.nginx import wait_for
from tests.support.process import canaryproxy
from tests.support.prometheus import prometheus

PATIENCE = 60.0


class Version(http.server.BaseHTTPRequestHandler):
    """Answers as its server's `status` has it, and tells of its CPU as if each request cost `cost` seconds."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        server: Any = self.server
        body = b"ok"
        if self.path == "/metrics":
            body = f"process_cpu_seconds_total {server.cpu:.6f}\n".encode()
            status = server.metrics
        else:
            server.cpu += server.cost
            status = server.status
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def versions() -> Iterator[dict[str, Any]]:
    found = {}
    for name in ("stable", "canary"):
        server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Version)
        server.daemon_threads = True
        server.cpu, server.cost, server.status, server.metrics = 100.0, 0.001, 200, 200
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found[name] = server
    yield found
    for server in found.values():
        server.shutdown()
        server.server_close()


def config(folder: Path, versions: dict[str, Any], port: int, admin: int, analysis: str = "", weight: int = 50) -> Path:
    path = folder / "judged.yaml"
    ports = {name: server.server_address[1] for name, server in versions.items()}
    path.write_text(
        f"server: {{listen: '127.0.0.1:{port}', workers: 2, state: memory, admin: {{listen: '127.0.0.1:{admin}'}}}}\n"
        f"routes: {{shop: {{stable: 'http://127.0.0.1:{ports['stable']}', "
        f"canary: 'http://127.0.0.1:{ports['canary']}', weight: {weight}, analysis: {{{analysis}}}}}}}\n"
    )
    return path


def reported(admin: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def analysis_until(admin: int, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = reported(admin, "/api/v1/routes/shop/analysis")
        if holds(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def check(analysis: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in analysis["checks"] if one["name"] == name)


@contextmanager
def traffic(port: int) -> Iterator[None]:
    """Some requests every second on four connections."""
    over = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while not over.wait(0.01):
            connection.request("GET", "/")
            connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join()


@contextmanager
def judged(folder: Path, versions: dict[str, Any], analysis: str = "") -> Iterator[tuple[int, Path]]:
    """A process with traffic: its admin port and its config."""
    port, admin = free_port(), free_port()
    path = config(folder, versions, port, admin, analysis)
    with canaryproxy(folder, str(path), port=port):
        wait_for(admin)
        with traffic(port):
            yield admin, path


def test_a_canary_that_fails_is_reported_everywhere_and_another_one_starts_over(
    versions: dict[str, Any], tmp_path: Path
) -> None:
    with judged(tmp_path, versions) as (admin, path):
        events = http.client.HTTPConnection("127.0.0.1", admin, timeout=PATIENCE)
        events.request("GET", "/api/v1/events")
        stream = events.getresponse()
        analysis_until(admin, lambda found: check(found, "errors")["samples"]["canary"] > 50)
        versions["canary"].status = 500
        found = analysis_until(admin, lambda found: found["verdict"] == "fail")
        assert "canary failed" in found["reason"]
        verdict = ""
        while '"fail"' not in verdict:
            line = stream.readline().decode()
            verdict = line if line.startswith("data:") and '"verdict"' in line else ""
        assert "canary failed" in verdict
        events.close()
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        assert 'canaryproxy_verdict{route="shop"} -1.0' in connection.getresponse().read().decode()
        connection.close()
        assert reported(admin, "/api/v1/routes/shop")["verdict"] == "fail"
        report = reported(admin, "/api/v1/routes/shop/rollout/report")
        assert {one["name"]: one["comparison"] for one in report["comparison"]}["errors"] == "worse"
        assert report["exposed"]["beyond_stable"] >= 5

        versions["canary"].status = 200
        port = versions["canary"].server_address[1]
        path.write_text(path.read_text().replace(f"'http://127.0.0.1:{port}'", f"'http://localhost:{port}'"))
        found = analysis_until(admin, lambda found: found["verdict"] != "fail")
        assert check(found, "errors")["evidence"] < 10


def test_what_a_request_costs_is_known_from_the_endpoints_alone(versions: dict[str, Any], tmp_path: Path) -> None:
    versions["canary"].cost = 0.002
    resources = "resources: [{name: cpu, counter: process_cpu_seconds_total, block: 1s}]"
    with judged(tmp_path, versions, resources) as (admin, _):
        found = analysis_until(admin, lambda found: check(found, "resource:cpu")["verdict"] == "fail")
        cpu = check(found, "resource:cpu")
        assert cpu["comparison"] == "worse"
        assert cpu["ratio"] == pytest.approx(2, rel=0.15)
        assert found["verdict"] == "inconclusive"
        assert found["reason"].startswith("cpu: ")
        versions["stable"].metrics = 404
        analysis_until(admin, lambda found: "cannot be read: HTTP status 404" in found["reason"])


@pytest.mark.needs("prometheus")
def test_prometheus_is_asked_for_both_versions_and_its_absence_holds(versions: dict[str, Any], tmp_path: Path) -> None:
    served = free_port()
    query = 'sum(canaryproxy_attempts_total{{route="{{{{route}}}}",version="{{{{version}}}}",outcome="error_5xx"}})'.format()
    checks = (
        f"checks: [{{name: failures, prometheus: 'http://127.0.0.1:{served}', query: '{query}', max: 20, "
        "interval: 1s, failures: 2}], errors: off, latency: off, refusals: off, limits: off, min_requests: 1"
    )
    with judged(tmp_path, versions, checks) as (admin, _):
        found = analysis_until(admin, lambda found: "is unknown" in found["reason"])
        assert found["verdict"] == "inconclusive"
        with prometheus(tmp_path, admin, Path("/dev/null"), port=served):
            found = analysis_until(admin, lambda found: check(found, "check:failures")["verdict"] == "pass")
            assert check(found, "check:failures")["sentence"] == "check:failures is 0, within its bounds"
            assert check(found, "check:failures")["stable"] == 0
            analysis_until(admin, lambda found: found["verdict"] == "pass")
            versions["canary"].status = 500
            found = analysis_until(admin, lambda found: found["verdict"] == "fail")
            assert "above 20" in found["reason"]
