"""What became of clients without any decision: requests answered by ourselves, connections that were not let in or were
closed to make room, as metrics.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from canaryproxy.telemetry.read.counters import Counters

REFUSED_CODES = (400, 404, 503)
TURNED_AWAY = ("address", "files", "full")
EVICTED = ("files", "full", "handshakes", "memory")
"""Codes and reasons that have a series from the beginning."""


def connection_families(counters: Counters) -> Iterator[Metric]:
    """By code, and by reason."""
    refused = CounterMetricFamily(
        "canaryproxy_rejected_requests",
        "Requests answered by ourselves before any version was decided on.",
        labels=("code",),
    )
    for code in sorted({*REFUSED_CODES, *counters.refused}):
        refused.add_metric((str(code),), counters.refused[code])
    yield refused
    for name, words, reasons, counts in (
        ("refused", "Client connections that were not let in.", TURNED_AWAY, counters.turned_away),
        ("evicted", "Client connections that were closed to make room for others.", EVICTED, counters.evicted),
    ):
        family = CounterMetricFamily(f"canaryproxy_connections_{name}", words, labels=("reason",))
        for reason in sorted({*reasons, *counts}):
            family.add_metric((reason,), counts[reason])
        yield family
