"""Connections to the control plane's listeners, as Prometheus gets them."""

from canaryproxy.telemetry.read.listener_metrics import ListenerFacts, listener_families


def test_every_listener_and_reason_has_its_series() -> None:
    facts = ListenerFacts({"admin": 3, "probes": 0}, {("probes", "evicted"): 7, ("probes", "busy"): 0})
    samples = [
        (sample.name.removeprefix("canaryproxy_control_"), tuple(sample.labels.values()), sample.value)
        for family in listener_families(facts)
        for sample in family.samples
    ]
    assert samples == [
        ("connections", ("admin",), 3),
        ("connections", ("probes",), 0),
        ("connections_dropped_total", ("probes", "evicted"), 7),
        ("connections_dropped_total", ("probes", "busy"), 0),
    ]
