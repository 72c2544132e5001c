"""The two forms made one."""

import pytest

from canaryproxy.config.problems import path_text
from canaryproxy.config.short_form import full_form
from canaryproxy.config.yaml.document import YamlTree


def reported(tree: YamlTree) -> list[tuple[str, str]]:
    shaped = full_form(tree)
    return [(path_text(fault.loc), fault.wrong.found or "") for fault in shaped.faults if fault.wrong is not None]


def test_the_short_form_is_a_route_named_default() -> None:
    shaped = full_form({"stable": "a", "canary": "b", "weight": 5})
    assert shaped.tree == {"routes": {"default": {"stable": "a", "canary": "b", "weight": 5}}}
    assert shaped.short
    assert shaped.faults == ()


def test_server_may_stand_beside_the_short_form() -> None:
    shaped = full_form({"server": {"listen": ":80"}, "stable": "a"})
    assert shaped.tree == {"routes": {"default": {"stable": "a"}}, "server": {"listen": ":80"}}


def test_unknown_keys_stay_in_the_route_where_the_schema_refuses_them() -> None:
    assert full_form({"stabel": "a"}).tree == {"routes": {"default": {"stabel": "a"}}}


def test_the_full_form_stays_as_it_is() -> None:
    tree: YamlTree = {"server": {}, "routes": {"a": {}}, "odd": 1}
    assert full_form(tree) == (tree, False, ())


def test_a_mixture_is_refused_key_by_key_and_the_rest_goes_on() -> None:
    shaped = full_form({"stable": "a", "routes": {"x": {}}, "rules": []})
    assert shaped.tree == {"routes": {"x": {}}}
    assert [fault.loc for fault in shaped.faults] == [("stable",), ("rules",)]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (None, [("", "an empty config")]),
        ({}, [("", "an empty config")]),
        ([], [("", "a list without keys")]),
        (5, [("", "a value without a key")]),
        ("http", [("", "a value without a key")]),
        ("stable:http://a", [("", "text without keys")]),
        ({"server": {}}, [("", "a config without routes")]),
        ({"routes": None}, [("routes", "no routes")]),
        ({"routes": {}}, [("routes", "no routes")]),
        ({"routes": []}, [("routes", "no routes")]),
    ],
)
def test_a_tree_that_has_neither_form_is_reported_what_is_missing(
    tree: YamlTree, expected: list[tuple[str, str]]
) -> None:
    assert full_form(tree).tree is None
    assert reported(tree) == expected
