"""Which endpoints there are now, and who hears of a change."""

import pytest

from canaryproxy.config import parse
from canaryproxy.control.topology import Topology
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.health import HealthAnswer, HealthCheckSpec
from tests.support.admin import until
from tests.support.plane import healthy, lookup

TEXT = """
routes:
  shop:
    hosts: [a.test]
    stable: {url: 'http://127.0.0.1:1', health: {path: /}}
    canary: http://127.0.0.1:2
  docs: {hosts: [b.test], stable: 'http://there:1'}
"""


def topology() -> Topology:
    return Topology(parse(TEXT, "f", {}), lookup, healthy, lambda: 5.0)


async def test_endpoints_are_those_of_the_versions_that_there_are() -> None:
    found = topology()
    await found.start()
    assert {name: [state for _, state in side] for name, side in found.endpoints("shop").items()} == {
        "stable": ["healthy"],
        "canary": ["unknown"],
    }
    assert {name: [one.host for one, _ in side] for name, side in found.endpoints("docs").items()} == {
        "stable": ["10.0.0.1"]
    }
    assert found.endpoints("gone") == {}


async def test_a_name_that_is_to_come_is_looked_up_and_kept() -> None:
    found = topology()
    await found.start()
    await found.expect(frozenset(("there", "new")))
    assert found.names() == {"there", "new"}
    assert found.resolver.answers["new"] == ("10.0.0.1",)


async def test_a_mistake_of_those_who_hear_of_a_change_ends_no_health_check(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(_: Endpoint, __: HealthCheckSpec) -> HealthAnswer:
        return HealthAnswer(passed=False)

    def broken(_: object) -> None:
        raise ZeroDivisionError

    text = TEXT.replace("path: /", "path: /, interval: 5ms, unhealthy: 1")
    found = Topology(parse(text, "f", {}), lookup, ask, lambda: 5.0)
    found.changes.subscribe(broken)
    found.health.watch(found.checks(found.config))
    (endpoint,) = found.checks(found.config)
    await until(lambda: endpoint in found.health.findings and found.health.findings[endpoint].row >= 3)
    found.stop()
    assert endpoint in found.health.unhealthy
    assert caplog.text.count("the last table stays in use") == 1
