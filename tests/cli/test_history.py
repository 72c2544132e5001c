"""`canaryproxy history`."""

import json

from typer.testing import CliRunner

from canaryproxy.cli import app
from tests.support.admin import Api
from tests.support.live import live


def test_who_did_what_the_newest_first() -> None:
    with live(Api()) as served:
        run = CliRunner().invoke
        for percent in ("1", "2"):
            run(app, ["weight", "shop", percent, "--admin", served.url])
        shown = run(app, ["history", "shop", "--admin", served.url], env={"COLUMNS": "120"}).stdout
        assert shown.splitlines()[1].split() == [
            "2027-01-15T08:00:00.500",
            "anyone",
            "127.0.0.1",
            "weight",
            "-",
            "-",
            "2",
            "1",
            "->",
            "2",
        ]
        run(app, ["start", "shop", "--version", "v42", "--admin", served.url])
        begun = run(app, ["history", "shop", "--admin", served.url], env={"COLUMNS": "120"}).stdout.splitlines()[1]
        assert begun.split()[3:5] == ["start", "v42"]
        assert f"rollout {begun.split()[5]} of v42" in begun
        run(app, ["abort", "shop", "--admin", served.url])
        run(app, ["reset", "shop", "--admin", served.url])
        run(app, ["weight", "shop", "1", "--admin", served.url])
        run(app, ["weight", "shop", "2", "--admin", served.url])
        data = run(app, ["history", "shop", "--limit", "1", "--json", "--admin", served.url]).stdout
        assert [entry["detail"] for entry in json.loads(data)["entries"]] == ["1 -> 2"]
        assert run(app, ["history", "nope", "--admin", served.url]).exit_code == 1
