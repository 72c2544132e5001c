"""A real Prometheus scrapes the real process: known traffic comes out right, dashboard and alerts run."""

import json
import math
import re
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml

from bench.ports import free_port
from tests.e2e.test_process import Named, origins
from tests.support.nginx import wait_for
from tests.support.process import ROOT, canaryproxy
from tests.support.prometheus import Prometheus, prometheus, promtool

__all__ = ["origins"]

MONITORING = ROOT / "monitoring"
pytestmark = pytest.mark.needs("prometheus")


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    found += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    return [one.replace("$route", ".*").replace("$__rate_interval", "1m") for one in found]


def test_promtool_finds_nothing_in_rules_and_config() -> None:
    promtool("check", "rules", str(MONITORING / "alerts.yml"))
    promtool("test", "rules", str(MONITORING / "alerts.test.yml"))
    promtool("check", "config", str(MONITORING / "prometheus.yml"))


def ask(port: int, path: str, count: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("GET", path)
        connection.getresponse().read()
    connection.close()


def test_known_traffic_comes_out_right(
    origins: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Named.do_GET

    def flaky(self: Named) -> None:
        """The canary is slow on /slowly and fails on /broken."""
        name = self.server.name  # type: ignore[attr-defined]
        if name == b"canary" and self.path == "/slowly":
            time.sleep(0.06)
        if name == b"canary" and self.path == "/broken":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            answer(self)

    monkeypatch.setattr(Named, "do_GET", flaky)
    port, admin = free_port(), free_port()
    path = tmp_path / "a.yaml"
    path.write_text(
        f"server: {{listen: '127.0.0.1:{port}', workers: 2, state: memory, admin: {{listen: '127.0.0.1:{admin}'}}}}\n"
        f"routes: {{shop: {{stable: 'http://127.0.0.1:{origins['stable']}', "
        f"canary: 'http://127.0.0.1:{origins['canary']}', weight: 50, goals: [{{name: cart, path: /cart}}]}}}}\n"
    )
    with canaryproxy(tmp_path, str(path), port=port):
        wait_for(admin)
        with prometheus(tmp_path, admin, MONITORING / "alerts.yml") as server:
            server.until('canaryproxy_weight{version="canary"}', lambda value: value == 50)
            server.until("sum(canaryproxy_requests_total)", lambda value: value == 0)
            for address, count in (("/", 100), ("/slowly", 60), ("/broken", 40)):
                ask(port, address, count)
            server.until("sum(canaryproxy_requests_total)", lambda value: value == 200)
            _compare(server)
            for expr in expressions():
                server.query(expr)
        for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
            asked = urllib.request.Request(f"http://127.0.0.1:{admin}/metrics", headers={"Accept": accept})
            with urllib.request.urlopen(asked, timeout=60) as response:
                text = response.read()
            if accept == "text/plain":
                assert promtool("check", "metrics", given=text) == ""
            names = set(re.findall(r"canaryproxy_[a-z_]+", " ".join(expressions())))
            assert [name for name in names if name.encode() not in text] == []


def _compare(server: Prometheus) -> None:
    """Counts, ratios, quantiles and rates against what was sent: 200 requests, about half of them to the canary."""
    requests = dict.fromkeys(("stable", "canary"), 0.0)
    for labels, value in server.query("sum by (version) (canaryproxy_requests_total)"):
        requests[labels["version"]] = value
    assert sum(requests.values()) == 200
    assert 80 <= requests["canary"] <= 120
    failed = server.value('sum(canaryproxy_attempts_total{version="canary", outcome="error_5xx"})')
    assert failed == server.value('sum(canaryproxy_requests_total{version="canary", code="500"})')
    assert 10 <= failed <= 30
    ratio = server.until(
        'sum(increase(canaryproxy_attempts_total{version="canary", outcome="error_5xx"}[1m])) '
        '/ sum(increase(canaryproxy_attempts_total{version="canary"}[1m]))',
        lambda value: not math.isnan(value) and abs(value - failed / requests["canary"]) < 0.02,
    )
    assert 0.1 < ratio < 0.3
    assert server.value('sum(canaryproxy_attempts_total{version="stable", outcome="error_5xx"})') == 0
    quantile = "histogram_quantile(0.95, sum by (le) (increase(canaryproxy_attempt_duration_seconds_bucket{%s}[1m])))"
    assert server.value(quantile % 'version="canary"') > 0.05
    median = quantile.replace("0.95", "0.5")
    assert server.value(median % 'version="stable"') < 0.05
    rate = server.value('sum(rate(canaryproxy_decisions_total{reason="weight"}[1m]))')
    assert 200 / 60 * 0.7 < rate < 200 * 4
    assert server.value('canaryproxy_observed_weight{version="canary"}') == pytest.approx(requests["canary"] / 2)
    assert server.value("canaryproxy_workers") == 2
    assert server.value('up{job="canaryproxy"}') == 1
