"""`canaryproxy status`."""

import json
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.remote import Remote, RemoteError
from canaryproxy.cli.status import figures, page, read_status, waits
from tests.support.admin import Api
from tests.support.live import live

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
        assert waits(routes[0]) == "shop: the file's weight of 30 % waits for `reset`"
        assert any("waits for" in str(part) for part in page(routes).renderables)


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

    monkeypatch.setattr(module, "PERIOD", 0.0)
    monkeypatch.setattr(module, "look", data)
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["status", "--watch", "--admin", served.url], env=WIDE)
        assert (done.exit_code, done.stdout.count("it cannot be reached"), done.stdout.count("blog")) == (0, 1, 4)
