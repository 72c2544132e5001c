"""`canaryproxy weight`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.route import in_words
from tests.support.admin import TOKENS, Api
from tests.support.live import Live, live


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


DOCS = "  docs: {hosts: [c.test], stable: 'http://127.0.0.1:1', goals: [{name: sale, path: /s}]}\n"


def said(served: Live, *arguments: str, stdin: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments, "--admin", served.url], input=stdin, env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_a_canary_is_shown_set_and_removed() -> None:
    with live(Api(route=DOCS)) as served:
        assert said(served, "canary", "shop") == (0, "shop: canary http://127.0.0.1:2, by file\n")
        assert said(served, "canary", "docs") == (0, "docs: no canary, by file; all traffic goes to stable\n")
        code, text = said(served, "canary", "docs", "http://127.0.0.1:3")
        assert (code, text) == (0, "docs: canary http://127.0.0.1:3, by api, 0 % to canary, idle\n")
        assert said(served, "weight", "docs", "5")[0] == 0
        code, text = said(served, "canary", "docs", "--remove")
        assert (code, "set its weight to 0" in text) == (1, True)
        assert said(served, "weight", "docs", "0")[0] == 0
        assert said(served, "canary", "docs", "--remove") == (
            0,
            "docs: no canary, by api; all traffic goes to stable\n",
        )
        code, text = said(served, "start", "docs")
        assert (code, "409" in text, "docs has no canary" in text) == (1, True, True)


def test_a_canary_with_settings_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text("endpoints: [http://127.0.0.1:3, http://127.0.0.1:4]\nhealth: {path: /ok}\n")
    with live(Api(route=DOCS)) as served:
        code, text = said(served, "canary", "docs", "--file", str(file), "--json")
        assert (code, json.loads(text)["canary"]["health"]) == (0, {"path": "/ok"})
        assert "canary http://127.0.0.1:3 http://127.0.0.1:4, by api" in said(served, "canary", "docs")[1]
        assert said(served, "canary", "docs", "--file", "-", stdin="url: http://127.0.0.1:5\n")[0] == 0
        assert said(served, "canary", "docs", "--file", "-", stdin="- 5")[0] == 2
        assert said(served, "canary", "docs", "--file", "-", stdin="url: b")[0] == 1
        assert said(served, "canary", "docs", "http://b", "--remove")[0] == 2
        assert said(served, "canary", "nope")[0] == 1


def test_status_has_one_line_for_a_plain_route() -> None:
    with live(Api(route=DOCS)) as served:
        code, text = said(served, "status")
        rows = [line.split() for line in text.splitlines()]
        assert code == 0
        assert [row[:2] for row in rows[1:6]] == [
            ["shop", "stable"],
            ["shop", "canary"],
            ["docs", "stable"],
            ["blog", "stable"],
            ["blog", "canary"],
        ]
        assert rows[3][-1] == "no-canary"
        goal = next(row for row in rows if "sale" in row)
        assert goal[-4:] == ["-", "-", "-", "-"]
        data = json.loads(said(served, "status", "docs", "--json")[1])
        assert (data["canary"], data["stats"]["versions"]["canary"]) == (None, None)
        assert said(served, "status", "docs", "--wait") == (0, "docs idle\n")


def test_rules_are_added_shown_replaced_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps({"name": "testers", "cookies": {"beta": {"present": True}}, "to": "canary"}))
    with live(Api()) as served:

        def rules(*arguments: str, stdin: str = "") -> str:
            done = CliRunner().invoke(app, ["rules", "shop", "--admin", served.url, *arguments], input=stdin)
            assert done.exit_code == 0, done.output
            return done.stdout

        assert rules() == "shop has no rules\n"
        added = rules("--add", "-", stdin='{name: testers, headers: {x-tester: "true"}, to: canary}')
        assert (
            added == "shop: 1 rule, by api; the first match decides\n  1. testers: header x-tester = true -> canary\n"
        )
        assert "testers: cookie beta present -> canary" in rules("--replace", str(path))
        assert json.loads(rules("--remove", "testers", "--json"))["rules"] == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["--add", "-", "--remove", "x"], "", 2), (["--add", "/nonexistent"], "", 2), (["--add", "-"], "[", 2),
        (["--add", "-"], "text", 2), (["--add", "-"], "{name: X, to: canary}", 1), (["--remove", "nope"], "", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_done_ends_with_a_code(arguments: list[str], stdin: str, code: int) -> None:
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["rules", "shop", "--admin", served.url, *arguments], input=stdin)
        assert done.exit_code == code
        assert len(served.api.workers.tables) == 1


def test_a_rule_in_words() -> None:
    rule = {
        "name": "a", "query": {"q": {"in": ["1", "2"]}}, "methods": ["GET", "HEAD"], "path": {"prefix": "/x"},
        "sources": ["10.0.0.0/8"], "percent": 12.5, "preview": True, "to": "canary", "headers": {"h": {"present": False}},
    }  # fmt: skip
    assert in_words(rule) == (
        "a: header h absent and query q in 1, 2 and method GET or HEAD and path prefix /x and client in 10.0.0.0/8 "
        "-> 12.5 % canary (preview)"
    )
    assert in_words({"name": "all", "to": "stable"}) == "all: every request -> stable"
