"""`canaryproxy history`."""

import json

from typer.testing import CliRunner, Result

from canaryproxy.cli import app
from canaryproxy.cli.history import lines
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


DATA = {
    "route": "shop",
    "rollout_id": "a",
    "canary_version": "v42",
    "stable_version": "v41",
    "result": "rolled_back",
    "why": "canary failed 13 of 640 requests",
    "verdict": "fail",
    "reason": "it fails",
    "exposed": {"requests": 1640, "failed": 13, "beyond_stable": 12.42, "users": 17},
    "comparison": [{"name": "errors", "comparison": "worse", "sentence": "2 % beside 0.1 %"}],
}


def test_a_report_for_people() -> None:
    assert lines(DATA) == [
        "shop: rollout a of v42 beside v41, rolled back: canary failed 13 of 640 requests",
        "the canary got 1,640 requests of 17 users and failed 13, 12.4 more than stable would have",
        "errors: worse: 2 % beside 0.1 %",
    ]
    nameless = {**DATA, "canary_version": None, "stable_version": None, "why": None, "result": "under_way"}
    assert lines(nameless)[:2] == [
        "shop: rollout a of an unnamed version, under way",
        "verdict: fail: it fails",
    ]
    assert lines({**DATA, "rollout_id": None})[0] == "shop: no rollout yet"


def test_it_is_there_after_a_rollback_and_a_reset_and_by_id() -> None:
    with live(Api()) as served:

        def run(*words: str) -> Result:
            return CliRunner().invoke(app, [*words, "--admin", served.url])

        assert run("report", "shop").stdout.startswith("shop: no rollout yet")
        one = run("start", "shop", "--version", "v1", "-q").stdout.strip()
        run("abort", "shop")
        run("reset", "shop")
        assert run("report", "shop").stdout.startswith(f"shop: rollout {one} of v1, rolled back: aborted by anyone")
        run("start", "shop", "--version", "v2")
        assert json.loads(run("report", "shop", "--json").stdout)["canary_version"] == "v2"
        assert json.loads(run("report", "shop", "--rollout", one, "--json").stdout)["canary_version"] == "v1"
        assert run("report", "shop", "--rollout", "nope").exit_code == 1
