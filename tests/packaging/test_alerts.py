"""The alerts, as a cluster and as a single machine have them: the jobs that they ask for are those that are scraped."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.packaging.test_kubernetes import K8S, OVERLAYS, of, overlay
from tests.support.process import ROOT
from tools import prometheus_rule

MONITORING = ROOT / "monitoring"
JOB = re.compile(r'\bjob=~?"([^"]+)"')


def asked() -> set[str]:
    """The jobs that alerts and dashboard ask for."""
    return set(JOB.findall((MONITORING / "alerts.yml").read_text() + _unquoted("grafana-dashboard.json")))


def _unquoted(name: str) -> str:
    return (MONITORING / name).read_text().replace('\\"', '"')


def monitor() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((K8S / "components/servicemonitor/servicemonitor.yaml").read_text())
    return found


def scraped(name: str) -> set[str]:
    """The jobs that the operator makes of the ServiceMonitor: of every Service that it selects and that has the port,
    the value of the label that `jobLabel` names, else the Service's name.
    """
    spec = monitor()["spec"]
    ports = {one["port"] for one in spec["endpoints"]}
    found = set()
    for service in of(overlay(name), "Service").values():
        labels = service["metadata"].get("labels", {})
        selected = spec["selector"]["matchLabels"].items() <= labels.items()
        if selected and ports & {port["name"] for port in service["spec"]["ports"]}:
            found.add(labels.get(spec.get("jobLabel", ""), service["metadata"]["name"]))
    return found


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("name", OVERLAYS)
def test_the_service_monitor_makes_the_job_that_the_alerts_ask_for(name: str) -> None:
    assert asked() == {"canaryproxy"}
    assert scraped(name) == asked()


def test_the_example_of_a_single_machine_makes_it_too() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert {one["job_name"] for one in config["scrape_configs"]} == asked()


def test_the_operators_rule_is_the_file_of_alerts() -> None:
    text = (K8S / "components/prometheusrule/prometheusrule.yaml").read_text()
    assert text == prometheus_rule.render(), "run: python -m tools.prometheus_rule"
    rule = yaml.safe_load(text)
    assert rule["spec"] == yaml.safe_load((MONITORING / "alerts.yml").read_text())
    assert rule["kind"] == "PrometheusRule"
    assert json.dumps(rule)
