"""What is shown of routes, endpoints and the instance."""

from canaryproxy.admin.views import checked, failing
from canaryproxy.config import parse
from canaryproxy.model.report import Delta
from canaryproxy.model.table import Endpoint
from canaryproxy.probes import failing_dependencies
from canaryproxy.probes.failure_reasons import answered
from canaryproxy.probes.health import HealthFinding
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
    api.topology.changes.publish("health")
    assert api.knowledge.endpoints("default").canary[0].state == "unhealthy"
    queue = api.events.subscribe()
    assert queue is not None
    api.topology.health.unhealthy = frozenset()
    api.topology.changes.publish("names")
    assert queue.empty()
    api.topology.changes.publish("health")
    assert not queue.empty()
    api.stop()


async def test_facts_of_a_route_that_has_just_left_are_empty() -> None:
    api = await Api(route="    affinity: cookie\n    rules: [{name: a, to: canary}]\n").start()
    facts = (await api.knowledge.facts()).routes[0]
    assert facts.reasons == ("weight", "affinity", "abort", "rule:a")
    assert facts.endpoints() == {("stable", "unknown"): 1, ("canary", "unknown"): 1}
    api.topology.file = api.topology.config = api.topology.config.model_copy(update={"routes": {}})
    assert facts.endpoints() == {}


BLOG = """  checked:
    hosts: [c.test]
    stable: http://127.0.0.1:1
    canary: {url: 'http://127.0.0.1:2', health: {path: /h, headers: {x-key: s3cret}}}
"""


def test_a_finding_says_why_since_when_and_how_often() -> None:
    shown = checked(HealthFinding(answered(503), 4, since=1.0, at=7.0))
    assert shown is not None
    assert shown.model_dump() == {
        "passed": False,
        "reason": "HTTP status 503",
        "kind": "status",
        "since": 1.0,
        "consecutive": 4,
        "at": 7.0,
    }
    passed = checked(HealthFinding(None, 2, since=1.0, at=3.0))
    assert passed is not None
    assert (passed.passed, passed.reason, passed.kind) == (True, None, None)
    assert checked(None) is None


def test_one_that_fails_keeps_its_words() -> None:
    shown = failing(failing_dependencies.FailingDependency("hook", "gate", "HTTP status 500", since=1.0, at=3.0, row=2))
    assert shown.model_dump() == {
        "what": "hook",
        "name": "gate",
        "reason": "HTTP status 500",
        "since": 1.0,
        "consecutive": 2,
        "at": 3.0,
    }


async def test_a_route_shows_both_and_no_secret() -> None:
    api = Api(route=BLOG)
    await api.reconfiguration.start()
    ill = Endpoint("127.0.0.1", 2)
    api.topology.health.findings[ill] = HealthFinding(answered(503), 4, since=1.0, at=7.0)
    api.failures.bad(("shop", "check", "load"), "connection refused")
    api.topology.resolver.failures.bad(("elsewhere", "name", "elsewhere"), "unknown")
    checked_route = api.knowledge.route("checked")
    assert checked_route.endpoints.canary[0].check is not None
    assert checked_route.endpoints.canary[0].check.reason == "HTTP status 503"
    assert "s3cret" not in checked_route.model_dump_json()
    route = api.knowledge.route("shop")
    assert [one.check for one in (*route.endpoints.stable, *route.endpoints.canary)] == [None, None]
    assert [(one.what, one.reason) for one in route.failing] == [("check", "connection refused")]
    assert api.knowledge.route("blog").failing == []
    api.stop()
