"""What the API shows of endpoints and of failing dependencies."""

from canaryproxy.admin.endpoints import checked, failing
from canaryproxy.model.table import Endpoint
from canaryproxy.probes import failing_dependencies
from canaryproxy.probes.failure_reasons import answered
from canaryproxy.probes.health import HealthFinding
from tests.support.admin import Api

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
