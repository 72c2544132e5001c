"""`canaryproxy explain`; that it tells the truth is shown by tests/integration/test_decisions.py. H57."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app

CONFIG = """
routes:
  shop:
    hosts: [shop.test]
    stable: http://shop-stable
    canary: http://shop-canary
    weight: 5
    affinity: cookie
    rules:
      - {name: testers, headers: {x-internal-tester: "true"}, to: canary}
      - {name: office, sources: [10.0.0.0/8], to: canary}
"""


def explain(tmp_path: Path, *arguments: str, text: str = CONFIG) -> tuple[int, str]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["explain", str(path), *arguments])
    return result.exit_code, result.output


def test_a_tester_sees_why(tmp_path: Path) -> None:
    code, output = explain(tmp_path, "--header", "X-Internal-Tester: true", "GET", "http://shop.test/cart")
    assert code == 0
    assert output.splitlines() == [
        "canary, because rule testers sends 100 % to canary",
        "route shop, reason rule:testers",
        "-> rule testers: matches, and decides",
        "   rule office: source must be in 10.0.0.0/8, and it is 127.0.0.1",
    ]


def test_the_source_and_a_cookie_can_be_given(tmp_path: Path) -> None:
    assert "by rule office" in explain(tmp_path, "--source", "10.9.9.9", "GET", "https://shop.test/")[1].replace(
        "because rule", "by rule"
    )
    _, output = explain(
        tmp_path, "--cookie", "canaryproxy=0123456789abcdef", "GET", "//shop.test/", "--header", "Host: shop.test"
    )
    assert "bucket" in output.splitlines()[2]


def test_json_is_for_programs(tmp_path: Path) -> None:
    data = json.loads(explain(tmp_path, "--json", "GET", "http://shop.test/")[1])
    assert (data["version"], data["canary_percent"], data["new_cookie"]) == (None, 5.0, True)
    code, output = explain(tmp_path, "--json", "GET", "http://else.test/")
    assert (code, json.loads(output)["reason"]) == (1, "no_route")
    assert explain(tmp_path, "GET", "http://else.test/") == (1, "404: no route has this host and path\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["GET", "http://shop.test/a b"], "the proxy would answer 400"),
        (["TRACE", "http://shop.test/"], "the proxy would answer 405"),
        (["GET", "/", "--header", "no-colon"], "write a header as"),
        (["GET", "/", "--header", "a: b\r\nc: d"], "write a header as"),
        (["GET", "/", "--source", "here"], "here is not an IP address"),
    ],
)
def test_what_the_proxy_would_refuse_is_refused_here(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, output = explain(tmp_path, *arguments)
    assert code == 2
    assert words in " ".join(output.replace("│", " ").split())


def test_a_broken_config_is_reported(tmp_path: Path) -> None:
    code, output = explain(tmp_path, "GET", "/", text="stable: 5")
    assert code == 1
    assert "shop.yaml" in output
