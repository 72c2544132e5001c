"""Client connections that were not let in, or gave way, as metrics."""

from canaryproxy.model.report import Delta
from canaryproxy.telemetry.read.connection_metrics import connection_families
from canaryproxy.telemetry.read.counters import Counters


def test_every_reason_has_a_series_from_the_beginning_and_is_added_up_over_workers() -> None:
    counters = Counters()
    counters.add(0, Delta(1, 0.0, turned_away={"full": 2}, evicted={"memory": 1}))
    counters.add(1, Delta(1, 0.0, turned_away={"full": 3}, evicted={"full": 4}))
    _, refused, evicted = connection_families(counters)
    assert {sample.labels["reason"]: sample.value for sample in refused.samples} == {
        "address": 0,
        "files": 0,
        "full": 5,
    }
    assert {sample.labels["reason"]: sample.value for sample in evicted.samples} == {
        "files": 0,
        "full": 4,
        "handshakes": 0,
        "memory": 1,
    }
    assert refused.samples[0].name == "canaryproxy_connections_refused_total"
