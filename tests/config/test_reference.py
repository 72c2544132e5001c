"""The reference is what the schema says."""

import runpy
import sys
from pathlib import Path

import pytest
import yaml

from canaryproxy.config import parse
from canaryproxy.config.reference import DEFAULT_PATH, main, render
from canaryproxy.config.schema.root import SECTIONS
from canaryproxy.config.yaml.document import YamlTree, read_document
from tests.support.authority import Authority

REPOSITORY = Path(__file__).parents[2]


def test_the_reference_in_the_repository_is_up_to_date() -> None:
    stored = (REPOSITORY / DEFAULT_PATH).read_text("utf-8")
    assert stored == render(), "run: python -m canaryproxy.config.reference"


def test_the_two_line_form_comes_first() -> None:
    text = render()
    assert text.index("stable: http://localhost:9001") < text.index("routes:\n")


def test_every_key_has_its_heading() -> None:
    text = render()
    for section in SECTIONS.values():
        for key in section.model_fields:
            assert f"### `{key}`\n" in text


def test_every_yaml_block_is_a_valid_config() -> None:
    blocks = render().split("```yaml\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        parse(block.partition("```")[0], "block", {})


def test_every_example_is_valid_in_its_place(tmp_path: Path) -> None:
    authority = Authority()
    authority.write(tmp_path, "tls", "shop.example.com")
    authority.write(tmp_path, "client", "shop.example.com")
    for name in ("ca.crt", "client-ca.crt"):
        authority.write_ca(tmp_path).rename(tmp_path / name)
    authority.write_ca(tmp_path)
    for name in ("ci", "service", "health"):
        (tmp_path / name).write_text("a-token")
    for path, section in SECTIONS.items():
        for key, field in section.model_fields.items():
            if field.examples:
                example = (
                    str(field.examples[0]).replace("/etc/tls", str(tmp_path)).replace("/run/secrets", str(tmp_path))
                )
                example = example.replace("${CI_TOKEN}", "abc")
                tree = yaml.safe_load(parse_example(path, key, example))
                parse(yaml.safe_dump(tree), f"{path} {key}", {})


SECURE: dict[str, dict[str, YamlTree]] = {
    "hooks": {"name": "a", "when": "end", "url": "https://x"},
    "notify": {"url": "https://x"},
    "resources": {"name": "a", "counter": "a", "port": 1},
    "checks": {"name": "a", "url": "https://x", "max": 1},
}
"""Sections around `tls`, beside that of a version."""


def parse_example(path: tuple[str | int, ...], key: str, example: str) -> str:
    """A whole config around one `key: example`."""
    value = read_document(f"{key}: {example}", {}).tree
    assert isinstance(value, dict)
    needed: dict[str, dict[str, YamlTree]] = {
        "rules": {"name": "a", "to": "canary"},
        "health": {"path": "/"},
        "listen": {"address": ":1"},
        "probes": {"listen": ":9901"},
        "tokens": {"name": "ci", "role": "read"},
        "mirror": {"percent": 1},
        "goals": {"name": "a"},
    }
    section = next((str(part) for part in reversed(path) if part != "*"), "")
    judged = "analysis" in (*path, key)
    value = {**({"goal": "add_to_cart"} if judged and section == "goals" else needed.get(section, {})), **value}
    if section == "hooks":
        value = {"name": "a", "when": "end", "url": "http://x", **value}
    if section == "notify":
        value = {"url": "http://x", **value}
    if section == "resources":
        value = {"name": "cpu", **({} if key == "gauge" else {"gauge" if key == "per" else "counter": "a"}), **value}
    if section == "checks":
        service = {} if key in ("prometheus", "url") else {"url": "http://q/{{version}}"}
        service = {"prometheus": "http://p"} if key == "query" else service
        query = {"query": "up"} if key == "prometheus" else {}
        value = {"name": "a", "max": 1, **service, **query, **value}
    pair = {"cert": "key", "key": "cert"}
    if key in pair:
        other = str(value[key]).removesuffix(".crt").removesuffix(".key")
        value[pair[key]] = f"{other}.{'key' if key == 'cert' else 'crt'}"
    around = next((SECURE[str(part)] for part in path if part in SECURE), None)
    if path[-1:] == ("tls",) and around is not None:
        value, path = {**around, "tls": value}, path[:-1]
    route: dict[str, object] = {"stable": "http://a", "canary": "http://b"}
    server: dict[str, object] = {}
    inside: object = value
    for part in reversed(path[1 if path[0] == "server" else 2 :]):
        inside = [inside] if part == "*" else {str(part): inside}
    assert isinstance(inside, dict)
    if judged:
        route["goals"] = [{"name": "add_to_cart"}]
    (server if path[0] == "server" else route).update(inside)
    admin = server.get("admin")
    if isinstance(admin, dict):
        for token in admin.get("tokens", []):
            if "token" not in token and "token_file" not in token:
                token["token"] = "abc"
        if key in ("listen", "hosts"):
            admin.setdefault("auth", "none")
    listen = server.get("listen")
    if isinstance(listen, list) and isinstance(listen[0], dict):
        listen[0].setdefault("address", ":1")
        listen[0].get("tls", {}).setdefault(
            "certs", [{"cert": tls_file(example, "crt"), "key": tls_file(example, "key")}]
        )
        server["trusted_proxies"] = ["10.0.0.0/8"]
    for side in ("stable", "canary"):
        version = route[side]
        if isinstance(version, dict) and "url" not in version and "endpoints" not in version:
            version["url"] = "https://a" if "tls" in version else "http://a"
    return yaml.safe_dump({"server": server, "routes": {"shop": route}})


def tls_file(example: str, suffix: str) -> str:
    return str(Path(example).parent / f"tls.{suffix}")


def test_it_is_written_to_the_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main([str(tmp_path / "reference.md")])
    assert (tmp_path / "reference.md").read_text("utf-8") == render()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    main([])
    assert (tmp_path / DEFAULT_PATH).read_text("utf-8") == render()


def test_it_is_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "reference.md"
    monkeypatch.setattr(sys, "argv", ["reference", str(target)])
    monkeypatch.delitem(sys.modules, "canaryproxy.config.reference")
    runpy.run_module("canaryproxy.config.reference", run_name="__main__")
    assert target.read_text("utf-8") == render()
