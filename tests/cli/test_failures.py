"""Who fails, in `canaryproxy status`."""

import json

from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.failures import failures, moment
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.failing_dependencies import FailingDependency
from canaryproxy.probes.failure_reasons import answered
from canaryproxy.probes.health import HealthFinding
from tests.support.admin import Api
from tests.support.live import live

ROUTE = """  checked:
    hosts: [c.test]
    stable: http://127.0.0.1:1
    canary: {url: 'http://127.0.0.1:2', health: {path: /h, interval: 1h}}
"""


def test_status_says_why_since_when_and_how_often() -> None:
    api = Api(route=ROUTE)
    with live(api) as served:
        api.topology.health.findings[Endpoint("127.0.0.1", 2)] = HealthFinding(answered(503), 4, since=0.0, at=7.0)
        api.failures.bad(("shop", "check", "load"), "connection refused")
        done = CliRunner().invoke(app, ["status", "--admin", served.url])
        data = json.loads(CliRunner().invoke(app, ["status", "checked", "--json", "--admin", served.url]).stdout)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["checked", "canary", "127.0.0.1:2", "healthy", "4", "1970-01-01T00:00:00", "HTTP", "status", "503"] in lines
    assert any(line[:3] == ["shop", "check", "load"] and line[-2:] == ["connection", "refused"] for line in lines)
    assert data["endpoints"]["canary"][0]["check"]["kind"] == "status"


def test_where_nothing_fails_there_is_no_table() -> None:
    passed = {"passed": True, "reason": None, "kind": None, "since": 0.0, "consecutive": 2, "at": 1.0}
    endpoint = {"endpoint": "a:1", "name": "", "state": "healthy", "check": passed}
    assert failures([{"route": "a", "endpoints": {"stable": [endpoint], "canary": []}, "failing": []}]) is None
    assert failures([{"route": "a", "endpoints": {"stable": [{**endpoint, "check": None}], "canary": []}}]) is None
    assert FailingDependency("name", "a", "b", 0, 0).row == 1
    assert moment(86_400.0) == "1970-01-02 00:00:00"
