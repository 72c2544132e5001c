"""`canaryproxy status`."""

import json
import sys
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from canaryproxy.admin.rollout_views import analysis_of
from canaryproxy.cli import app
from canaryproxy.cli.remote import Remote, RemoteError
from canaryproxy.cli.status import (
    failures,
    figures,
    goal_cells,
    goals,
    judgements,
    moment,
    page,
    pending_weight,
    read_status,
)
from canaryproxy.model.report import Delta, GoalDelta, UsersDelta
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.failing_dependencies import FailingDependency
from canaryproxy.probes.failure_reasons import answered
from canaryproxy.probes.health import HealthFinding
from tests.support.admin import Api
from tests.support.live import live
from tests.support.traffic import Version, World, failing

module = sys.modules["canaryproxy.cli.status"]

WIDE = {"COLUMNS": "200"}


def test_a_table_of_every_route() -> None:
    api = Api()
    api.served("stable", 950, 0)
    api.served("canary", 50, 5)
    with live(api) as served:
        lines = CliRunner().invoke(app, ["status", "--admin", served.url], env=WIDE).stdout.splitlines()
        assert lines[1].split()[:6] == ["shop", "stable", "95%", "95.00%", "1/1", "950"]
        assert lines[2].split()[:7] == ["shop", "canary", "5%", "5.00%", "1/1", "50", "10.00%"]
        assert lines[3].split()[:3] == ["blog", "stable", "100%"]
        data = json.loads(CliRunner().invoke(app, ["status", "shop", "--json", "--admin", served.url]).stdout)
        assert (data["weight"], data["stats"]["versions"]["canary"]["errors"]) == (5.0, 5)
        assert CliRunner().invoke(app, ["status", "nope", "--admin", served.url]).exit_code == 1


def test_a_weight_of_the_file_that_waits_is_said() -> None:
    with live(Api()) as served:
        routes = [
            {**one, "waiting_weight": 30.0, "phase": "progressing"} for one in read_status(Remote(served.url), "shop")
        ]
        assert pending_weight(routes[0]) == "shop: weight 30 % of the file is pending until `reset`"
        assert any("is pending" in str(part) for part in page(routes).renderables)


def test_figures_of_a_quiet_route_are_dashes() -> None:
    with live(Api()) as served:
        route = read_status(Remote(served.url), "shop")[0]
        assert figures(route, "canary") == ["5 %", "-", "1/1", "0", "-", "-", "-", "-", "-", "0"]


def test_a_rollout_is_waited_for_on_one_route_alone() -> None:
    for words in (["--rollout", "x"], ["shop", "--rollout", "x"], ["--wait", "--rollout", "x"]):
        done = CliRunner().invoke(app, ["status", *words, "--admin", "http://127.0.0.1:1"])
        assert (done.exit_code, "ROUTE and --wait" in done.stderr) == (2, True)


def test_watching_survives_an_instance_that_is_away_and_ends_with_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def data(remote: Remote, route: str | None) -> list[dict[str, Any]]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise RemoteError("it cannot be reached")
        if looks == 4:
            raise KeyboardInterrupt
        return read_status(remote, route)

    monkeypatch.setattr(module, "PERIOD_SECONDS", 0.0)
    monkeypatch.setattr(module, "read_status", data)
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["status", "--watch", "--admin", served.url], env=WIDE)
        assert (done.exit_code, done.stdout.count("it cannot be reached"), done.stdout.count("blog")) == (0, 1, 4)


def test_both_versions_stand_side_by_side() -> None:
    api = Api(route="    affinity: cookie\n    goals: [{name: cart, path: /cart}, {name: sold}]\n")
    api.served("canary", 50)
    event = GoalDelta("shop", "canary", "cart", True, 5, 12.5, {31: 5}, 0, {1: 12.5})
    data = Delta(
        1,
        api.clock,
        users=(UsersDelta("shop", "canary", 500, 0, frozenset((1, 2, 3, 4)), frozenset((1,))),),
        goals=(event,),
    )
    api.window.add(data)
    api.users.add(data, lambda _: 500)
    with live(api) as served:
        done = CliRunner().invoke(app, ["status", "--admin", served.url], env={"COLUMNS": "240"})
    lines = done.stdout.splitlines()
    cart = next(line.split() for line in lines if " cart " in line)
    assert cart == ["shop", "cart", "0", "0.00", "-", "-", "5", "12.50", "10.00%", "25.00%"]
    assert any(" sold " in line for line in lines)
    assert "4(1)" in next(line for line in lines if " canary " in line and " 5% " in line)


def test_without_goals_there_is_no_table() -> None:
    assert goals([{"route": "a", "stats": {"versions": {"stable": {"goals": {}}, "canary": {"goals": {}}}}}]) is None
    assert goal_cells({"events": 1_000, "value": 1e6, "per_request": None, "per_user": 0.5}) == [
        "1,000",
        "1,000,000.00",
        "-",
        "50.00 %",
    ]


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


def test_every_check_of_a_canary_with_a_share_has_its_line() -> None:
    world = World(Version(), Version(1.0))
    world.run(5, failing)
    data = analysis_of("shop", world.judge.analysis(world.now)).model_dump()
    shown = judgements(
        [{"route": "shop", "weight": 5, "analysis": data}, {"route": "blog", "weight": 0, "analysis": data}]
    )
    assert shown is not None
    console = Console(width=200)
    with console.capture() as capture:
        console.print(shown)
    lines = capture.get().splitlines()
    assert len(lines) == 2 + len(data["checks"])
    assert "fail" in lines[1]
    assert "canary failed" in lines[1]
    assert "worse" in lines[2]


def test_a_canary_without_a_share_is_not_spoken_of() -> None:
    assert judgements([{"route": "blog", "weight": 0, "analysis": {}}]) is None
