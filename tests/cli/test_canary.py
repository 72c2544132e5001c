"""`canaryproxy canary`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from canaryproxy.cli import app
from tests.support.admin import Api
from tests.support.live import Live, live

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
