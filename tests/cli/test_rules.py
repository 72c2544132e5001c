"""`canaryproxy rules`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.rules import in_words
from tests.support.admin import Api
from tests.support.live import live


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
