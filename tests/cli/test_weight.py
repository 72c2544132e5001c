"""`canaryproxy weight`."""

import json

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from tests.support.admin import TOKENS, Api
from tests.support.live import live


@pytest.mark.parametrize(("text", "percent"), [("12.5", 12.5), ("0.25%", 0.25), ("100", 100), ("0", 0)])
def test_a_weight_is_set_and_said(text: str, percent: float) -> None:
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["weight", "shop", text, "--admin", served.url])
        assert (done.exit_code, done.stdout) == (
            0, f"shop: {percent:g} % to canary, {100 - percent:g} % to stable (generation 2)\n",
        )  # fmt: skip
        assert served.api.workers.tables[-1].routes[0].weight == percent * 100


def test_the_environment_says_where_and_who() -> None:
    with live(Api(TOKENS)) as served:
        environment = {"CANARYPROXY_ADMIN": served.url, "CANARYPROXY_TOKEN": "write-me"}
        done = CliRunner().invoke(app, ["weight", "shop", "1", "--json"], env=environment)
        assert json.loads(done.stdout)["canary"] == 1
        refused = CliRunner().invoke(app, ["weight", "shop", "2"], env={**environment, "CANARYPROXY_TOKEN": "read-me"})
        assert (refused.exit_code, "403" in refused.stderr, "role write" in refused.stderr) == (1, True, True)
        assert "write-me" not in done.output + refused.output


def test_what_is_no_percentage_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["weight", "shop", "0.001"]).exit_code == 2


def test_an_unknown_route_is_refused() -> None:
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["weight", "a/b", "5", "--admin", served.url])
        assert (done.exit_code, "404" in done.stderr) == (1, True)
