"""The families about connections to the control plane's own listeners: the admin API and the probes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """Connections there are, by listener, and those that were dropped, by listener and reason."""

    connections: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)


def listener_families(facts: ListenerFacts) -> Iterator[Metric]:
    """What Prometheus gets of them."""
    words = "Connections to the admin API, the probes port and the probes socket."
    connections = GaugeMetricFamily("canaryproxy_control_connections", words, labels=("listener",))
    for listener, count in facts.connections.items():
        connections.add_metric((listener,), count)
    yield connections
    dropped = CounterMetricFamily(
        "canaryproxy_control_connections_dropped",
        "Connections to these that were refused or cut, by why.",
        labels=("listener", "reason"),
    )
    for labels, count in facts.dropped.items():
        dropped.add_metric(labels, count)
    yield dropped
