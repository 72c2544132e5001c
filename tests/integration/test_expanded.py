"""Whatever is wrong with a config whose values come from the environment, no message shows one of them.

Every value of a config is replaced by a variable, and holds a marker that no message would have of itself.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from canaryproxy.config import Config, ConfigError
from canaryproxy.config.load import parse
from canaryproxy.config.yaml.document import read_document

ROOT = Path(__file__).parents[2]
BROKEN = sorted((ROOT / "tests" / "config" / "broken").glob("*.yaml"))

MARKS = ("zq7x", "8642")
"""What none of our own words hold, as text and as a number."""

UNFIT = (
    "zq7x",
    "8642",
    "8642.5",
    "8642%",
    "1.8642%",
    "8642s",
    "8642 S",
    "1h8642m",
    "8642mib",
    "8642 kb",
    "-8642",
    "zq7x:8642",
    "ZQ7X.example:99999",
    "zq7x://host",
    "http://zq7x/p8642?q=1#f",
    "http://u:zq7x@host",
    "http://zq7x host",
    "//zq7x",
    "http://zq7xé.example",
    "*.zq7x:8642",
    "zq7x.*",
    "/zq7x//a",
    "/zq7x*",
    "/%7Aq7x?q",
    "/zq7x é",
    "10.86.42.99/8",
    "::ffff:86.42.86.42",
    "[::ffff:86.42.86.42]:8642",
    "localhost:8642",
    "*:8642",
    "(zq7x",
    "[zq7x",
    "${zq7x}",
    "zq7x ",
    "Zq7X",
    "zq7x\x1b[31m\n2:1: forged",
    "zq7x" * 2_000,
)


def leaves(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*at, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from leaves(value, (*at, number))
    else:
        yield at, tree


def replaced(tree: Any, new: Mapping[tuple[Any, ...], str], at: tuple[Any, ...] = ()) -> Any:
    if isinstance(tree, dict):
        return {key: replaced(value, new, (*at, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [replaced(value, new, (*at, number)) for number, value in enumerate(tree)]
    return new.get(at, tree)


def refused(tree: Any, values: Mapping[tuple[Any, ...], str]) -> tuple[str, Config | None]:
    """What is said of a tree with these values in the environment."""
    names = {at: f"V{number}" for number, at in enumerate(values)}
    text = yaml.safe_dump(replaced(tree, {at: f"${{{name}}}" for at, name in names.items()}), sort_keys=False)
    try:
        return "", parse(text, "f.yaml", {names[at]: value for at, value in values.items()})
    except ConfigError as error:
        return f"{error} {error!r} {error.problems!r}", None


def shows(said: str, *marks: str) -> list[str]:
    """The lines of a message that show a value, in whatever way it was changed."""
    plain = re.sub(r"[^a-z0-9:\n]", "", said.lower())
    return [line for line in plain.splitlines() if any(re.sub(r"[^a-z0-9]", "", mark) in line for mark in marks)]


@pytest.fixture(scope="module")
def everything() -> Any:
    """An example that has every key."""
    return read_document((ROOT / "config" / "everything.yaml").read_text(), {}).tree


@pytest.mark.parametrize("unfit", UNFIT, ids=lambda text: repr(text)[:30])
def test_no_value_of_any_key_is_shown(unfit: str, everything: Any) -> None:
    said, config = refused(everything, dict.fromkeys((at for at, _ in leaves(everything)), unfit))
    assert config is None
    assert said.count("V") > 50
    assert not shows(said, *MARKS)


@pytest.mark.parametrize("unfit", ["zq7x://h", "8642", "1h8642m"])
def test_no_value_of_one_key_is_shown_beside_good_ones(unfit: str, everything: Any) -> None:
    for at, value in leaves(everything):
        said, _ = refused(everything, {at: unfit})
        assert not shows(said, *MARKS), (at, value)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("mark", ["zq7x", "8642"])
def test_no_broken_config_shows_a_value_from_the_environment(path: Path, mark: str) -> None:
    """The values of those that are known to be wrong, each with a mark at its end."""
    try:
        tree = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return
    values = {at: value + mark for at, value in leaves(tree) if at and value}
    said, _ = refused(tree, values) if values else ("", None)
    assert not shows(said, mark)


PAIRS: dict[str, tuple[Any, dict[tuple[Any, ...], str]]] = {
    "one claim twice": (
        {"routes": {"a": {"hosts": ["h"], "stable": "http://a"}, "b": {"hosts": ["h"], "stable": "http://a"}}},
        {("routes", "b", "hosts", 0): "zq7x.test", ("routes", "a", "hosts", 0): "zq7x.test"},
    ),
    "one claim twice, one of them written": (
        {"routes": {"a": {"hosts": ["zq7x.test"], "stable": "http://a"}, "b": {"hosts": ["h"], "stable": "http://a"}}},
        {("routes", "b", "hosts", 0): "zq7x.test"},
    ),
    "one address twice": (
        {"stable": "http://a", "server": {"listen": [{"address": "a"}, {"address": "b"}]}},
        {("server", "listen", 0, "address"): ":8642", ("server", "listen", 1, "address"): ":8642"},
    ),
    "an open admin": (
        {"stable": "http://a", "server": {"admin": {"listen": "x"}}},
        {("server", "admin", "listen"): "0.0.0.0:8642"},
    ),
    "a weight without a canary": ({"stable": "http://a", "weight": 1}, {("weight",): "86.42"}),
    "a rule without a canary": (
        {"stable": "http://a", "rules": [{"name": "r", "to": "stable", "percent": 5}]},
        {("rules", 0, "percent"): "86.42"},
    ),
    "two rules of one name": (
        {"stable": "http://a", "canary": "http://b", "rules": [{"name": "r", "to": "canary"}] * 2},
        {("rules", 0, "name"): "zq7x", ("rules", 1, "name"): "zq7x"},
    ),
    "two goals of one name": (
        {"stable": "http://a", "goals": [{"name": "r"}] * 2},
        {("goals", 0, "name"): "zq7x", ("goals", 1, "name"): "zq7x"},
    ),
    "a goal that is not there": (
        {"stable": "http://a", "canary": "http://b", "goals": [{"name": "r"}], "analysis": {"goals": [{"goal": "x"}]}},
        {("goals", 0, "name"): "zq7x", ("analysis", "goals", 0, "goal"): "zq7x-2"},
    ),
    "a mirror of writes": (
        {"stable": "http://a", "canary": "http://b", "mirror": {"percent": 5, "methods": ["x"]}},
        {("mirror", "methods", 0): "ZQ7X"},
    ),
    "steps that fall": (
        {"stable": "http://a", "canary": "http://b", "rollout": {"steps": [1, 2]}},
        {("rollout", "steps", 0): "86.42", ("rollout", "steps", 1): "5"},
    ),
    "a first step that wants a proof": (
        {"stable": "http://a", "canary": "http://b", "rollout": {"steps": [1, 100], "prove_above": "x"}},
        {("rollout", "steps", 0): "86.42", ("rollout", "prove_above"): "1.8642%"},
    ),
    "a certificate that is none": (
        {
            "stable": "https://a",
            "server": {"listen": [{"address": ":1", "tls": {"certs": [{"cert": "x", "key": "x"}]}}]},
        },
        {("server", "listen", 0, "tls", "certs", 0, key): str(ROOT / "tests" / "zq7x.pem") for key in ("cert", "key")},
    ),
    "a regular expression that is none": (
        {
            "stable": "http://a",
            "canary": "http://b",
            "rules": [{"name": "r", "to": "canary", "headers": {"x-y": {"regex": "x"}}}],
        },
        {("rules", 0, "headers", "x-y", "regex"): "(zq7x"},
    ),
    "a webhook with credentials": (
        {"stable": "http://a", "canary": "http://b", "rollout": {"notify": {"url": "x"}}},
        {("rollout", "notify", "url"): "https://u:zq7x@chat.test/zq7x"},
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_what_does_not_go_together_is_said_without_values(case: str) -> None:
    tree, values = PAIRS[case]
    said, config = refused(tree, values)
    assert config is None, config
    if case == "one claim twice, one of them written":
        said = said.replace("zq7x.test", "")  # it stands in the file
    assert not shows(said, *MARKS), said


def test_a_file_with_an_encrypted_or_foreign_key_is_not_named(tmp_path: Path) -> None:
    pem = tmp_path / "zq7x.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    tree = {"stable": {"url": "https://a", "tls": {"ca": "x"}}}
    said, _ = refused(tree, {("stable", "tls", "ca"): str(pem)})
    assert "a file without a readable certificate" in said
    assert not shows(said, *MARKS)
