"""The schema: defaults, strictness, and that each key is described."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from canaryproxy.config.load import parse
from canaryproxy.config.problems import InvalidValueError, Loc, path_text
from canaryproxy.config.schema.root import SECTIONS, Config, SchemaError, validate
from canaryproxy.config.types.address import Address, Origin
from canaryproxy.config.yaml.document import YamlTree
from canaryproxy.model.settings import Limits, Timeouts
from canaryproxy.model.table import Version

ROUTE: dict[str, YamlTree] = {"stable": "http://a", "canary": "http://b"}


def config(server: YamlTree = None, **route: YamlTree) -> Config:
    tree: dict[str, YamlTree] = {"routes": {"shop": {**ROUTE, **route}}}
    return validate(tree if server is None else {**tree, "server": server})


def faults(tree: object) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as rejected:
        validate(tree)
    return [(path_text(fault.loc), fault.kind) for fault in rejected.value.faults]


def test_the_defaults_are_those_of_the_model() -> None:
    built = config()
    assert built.server.limits.model_dump() == {name: getattr(Limits(), name) for name in Limits.__slots__}
    assert built.server.timeouts.model_dump() == {name: getattr(Timeouts(), name) for name in Timeouts.__slots__}
    assert [listener.address for listener in built.server.listen] == [Address("127.0.0.1", 8080)]
    assert built.server.trusted_proxies == ()
    route, version = built.routes["shop"], Version("stable", ())
    assert (route.weight, route.hosts, route.paths, route.headers.add_version) == (0, (), ("/",), False)
    assert (route.stable.connect_timeout, route.stable.response_timeout, route.stable.keep_alive) == (
        version.connect_timeout,
        version.response_timeout,
        version.keep_alive,
    )


def test_a_default_written_out_is_the_same_config() -> None:
    assert config({"listen": "127.0.0.1:8080", "limits": {"body_bytes": None}}, weight=0, paths=["/"]) == config()


@pytest.mark.parametrize("url", ["http://b:81", {"url": "http://b:81"}])
def test_a_version_is_a_url_or_a_mapping(url: YamlTree) -> None:
    assert config(canary=url).routes["shop"].sides[1].url == Origin("http", "b", 81)


@pytest.mark.parametrize("listen", [":80", [{"address": ":80"}]])
def test_listen_is_an_address_or_a_list(listen: YamlTree) -> None:
    assert [listener.address for listener in config({"listen": listen}).server.listen] == [("", 80)]


def test_routes_keep_their_order() -> None:
    names = ["zoo", "api", "shop"]
    assert list(validate({"routes": dict.fromkeys(names, ROUTE)}).routes) == names


def test_every_fault_is_reported_at_once() -> None:
    tree = {
        "server": {"limits": 5, "odd": 1, "listen": {}},
        "routes": {"A": {**ROUTE, "weight": "x", "canary": {"url": "b"}}, "b": {"stable": None}, "c": []},
    }
    assert sorted(faults(tree)) == [
        ("routes.A", "value"),
        ("routes.A.canary.url", "value"),
        ("routes.A.weight", "value"),
        ("routes.b.stable", "value"),
        ("routes.c", "mapping"),
        ("server.limits", "mapping"),
        ("server.listen", "value"),
        ("server.odd", "unknown"),
    ]


def test_lists_are_lists_and_not_empty_where_that_would_mean_nothing() -> None:
    for key in ("hosts", "paths"):
        values: tuple[YamlTree, ...] = ([], "x", None, {})
        for value in values:
            assert faults({"routes": {"shop": {**ROUTE, key: value}}}) == [(f"routes.shop.{key}", "value")]
    assert faults({"routes": {"shop": ROUTE}, "server": {"listen": []}}) == [("server.listen", "value")]
    assert config({"trusted_proxies": []}).server.trusted_proxies == ()


def test_every_section_that_the_schema_reaches_is_listed() -> None:
    def reach(path: Loc, model: type[BaseModel]) -> Iterator[tuple[Loc, type[BaseModel]]]:
        yield path, model
        for name, field in model.model_fields.items():
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    star: Loc = ("*",) if get_origin(field.annotation) in (tuple, dict) else ()
                    yield from reach((*path, name, *star), kind)

    assert dict(reach((), Config)) == SECTIONS


def test_every_key_is_described_with_an_example_that_is_valid() -> None:
    for path, section in SECTIONS.items():
        assert section.__doc__
        for key, field in section.model_fields.items():
            assert field.description, (path, key)
            nested = (*path, key) in SECTIONS or (*path, key, "*") in SECTIONS
            assert field.examples or nested, (path, key)


def test_suspicious_configs_are_warned_about() -> None:
    server: Any = {"trusted_proxies": ["0.0.0.0/0"], "limits": {"header_bytes": "1KiB", "uri_bytes": "2KiB"}}
    assert config(server, canary="http://a").warnings == (
        "routes.shop: stable and canary are the same endpoint, a:80",
        "server.trusted_proxies: with 0.0.0.0/0 any client can claim any address",
        "server.limits: uri_bytes has no effect, since header_bytes is smaller and includes the target",
    )
    assert config().warnings == ()


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config().routes["shop"].weight = 1


def test_a_rejection_keeps_what_the_reader_said() -> None:
    with pytest.raises(SchemaError) as rejected:
        config(weight="abc")
    (fault,) = rejected.value.faults
    assert isinstance(fault.wrong, InvalidValueError)
    assert fault.wrong.hint.startswith("expected a percentage")


def test_a_config_can_be_printed_without_its_secrets() -> None:
    """As a debugger and a careless log line would."""
    text = """
server: {admin: {tokens: [{name: a, role: read, token: hunter2-token}]}}
stable: {url: "http://a", health: {path: /, headers: {authorization: hunter2-health}}}
canary: http://b
analysis:
  resources: [{name: r, counter: c, headers: {x-key: hunter2-resource}}]
  checks:
    - {name: c, url: "http://q/hunter2-path?hunter2=query", max: 1, token: hunter2-check, headers: {x-key: hunter2-h}}
    - {name: d, prometheus: "http://q/hunter2-path", query: up, max: 1}
rollout:
  hooks: [{name: g, when: start, url: "http://h/hunter2-hook", token: hunter2-hook}]
  notify: {url: "https://chat/services/hunter2", headers: {x-key: hunter2-notify}}
"""
    config = parse(text, "f", {})
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)
    assert "hunter2" not in config.server.lasting
    assert not any("hunter2" in words for words in config.warnings)
