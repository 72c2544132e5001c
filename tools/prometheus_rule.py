"""Writes `monitoring/alerts.yml` as a PrometheusRule for the Prometheus operator: `python -m tools.prometheus_rule`."""

import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "monitoring" / "alerts.yml"
TARGET = ROOT / "k8s" / "components" / "prometheusrule" / "prometheusrule.yaml"

HEAD = """\
# Made of monitoring/alerts.yml by `python -m tools.prometheus_rule`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: canaryproxy
  labels: {app.kubernetes.io/name: canaryproxy}
spec:
"""


def render() -> str:
    """The manifest."""
    text = ALERTS.read_text("utf-8")
    return HEAD + textwrap.indent(text[text.index("groups:") :], "  ")


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
