"""What is shown of routes, endpoints and the instance."""

from canaryproxy.config import parse
from canaryproxy.model.report import Delta
from canaryproxy.model.table import Endpoint
from tests.support.admin import Api


async def test_an_endpoint_that_a_worker_ejected_is_shown_so() -> None:
    api = await Api().start()
    api.counters.add(1, Delta(1, 1.0, ejected=frozenset(("127.0.0.1:2",))))
    sides = api.knowledge.endpoints("shop")
    assert [(one.endpoint, one.state) for one in (*sides.stable, *sides.canary)] == [
        ("127.0.0.1:1", "unknown"),
        ("127.0.0.1:2", "ejected"),
    ]
    api.counters.worker_exited(1)
    assert api.knowledge.endpoints("shop").canary[0].state == "unknown"


async def test_checked_endpoints_are_healthy_until_they_are_not() -> None:
    api = Api()
    text = "stable: http://127.0.0.1:1\ncanary: {url: 'http://127.0.0.1:2', health: {path: /}}\n"
    api.topology.file = api.topology.config = parse(text, "f", {})
    await api.start()
    assert api.knowledge.endpoints("default").canary[0].state == "healthy"
    api.topology.health.unhealthy = frozenset((Endpoint("127.0.0.1", 2),))
    api.controller._endpoints_changed(None)
    assert api.knowledge.endpoints("default").canary[0].state == "unhealthy"
    api.stop()


async def test_facts_of_a_route_that_has_just_left_are_empty() -> None:
    api = await Api(route="    affinity: cookie\n    rules: [{name: a, to: canary}]\n").start()
    facts = (await api.knowledge.facts()).routes[0]
    assert facts.reasons == ("weight", "affinity", "abort", "rule:a")
    assert facts.endpoints() == {("stable", "unknown"): 1, ("canary", "unknown"): 1}
    api.topology.file = api.topology.config = api.topology.config.model_copy(update={"routes": {}})
    assert facts.endpoints() == {}
