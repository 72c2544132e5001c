"""What only several entries together can get wrong."""

import pytest

from canaryproxy.config import conflicts
from canaryproxy.config.conflicts import find_conflicts
from canaryproxy.config.problems import Position, path_text
from canaryproxy.config.yaml.document import SourceValue, YamlTree


def found(tree: YamlTree) -> list[tuple[str, str]]:
    return [(path_text(fault.loc), fault.wrong.found or "") for fault in find_conflicts(tree, {}) if fault.wrong]


def routes(**claimed: YamlTree) -> YamlTree:
    return {"routes": dict(claimed)}


def test_different_hosts_or_paths_do_not_conflict() -> None:
    one: YamlTree = {"hosts": ["a.example", "*.a.example"], "paths": ["/", "/x"]}
    two: YamlTree = {"hosts": ["b.example"], "paths": ["/", "/x"]}
    three: YamlTree = {"hosts": ["a.example"], "paths": ["/y"]}
    four: YamlTree = {"paths": ["/"]}
    assert found(routes(one=one, two=two, three=three, four=four)) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({}, {}, [("routes.two", "duplicate path / on any host")]),
        ({}, {"paths": ["/"]}, [("routes.two.paths[0]", "duplicate path / on any host")]),
        ({"paths": ["/"]}, {}, [("routes.two", "duplicate path / on any host")]),
        (
            {"hosts": ["a.example", "b.example"]},
            {"hosts": ["c.example", "B.Example."]},
            [("routes.two", "duplicate path / on b.example")],
        ),
        (
            {"hosts": ["a.example"], "paths": ["/x", "/y"]},
            {"hosts": ["a.example"], "paths": ["/y/", "/x"]},
            [
                ("routes.two.paths[0]", "duplicate path /y on a.example"),
                ("routes.two.paths[1]", "duplicate path /x on a.example"),
            ],
        ),
    ],
)
def test_two_routes_cannot_claim_the_same_host_and_path(
    one: YamlTree, two: YamlTree, expected: list[tuple[str, str]]
) -> None:
    assert found(routes(one=one, two=two)) == expected


def test_a_route_cannot_list_the_same_thing_twice() -> None:
    assert found(routes(one={"paths": ["/x", "/x/"]})) == [("routes.one.paths[1]", "duplicate path /x on any host")]
    assert found(routes(one={"hosts": ["a", "A"], "paths": ["/x", "/y"]})) == [
        ("routes.one.hosts[1]", "duplicate path /x on a")
    ]


def test_both_lines_are_named() -> None:
    source_values = {
        ("routes", "one"): SourceValue(Position(2, 3)),
        ("routes", "one", "paths", 0): SourceValue(Position(4, 7), "/"),
    }
    tree = routes(one={"paths": ["/"]}, two={"paths": ["/"]})
    (fault,) = find_conflicts(tree, source_values)
    assert fault.wrong is not None
    assert fault.wrong.hint.endswith("routes.one at line 4 has it already")


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"routes": None},
        {"routes": []},
        {"routes": {"a": 1, "b": None}},
        {"server": 1},
        {"server": {"listen": 5}},
    ],
)
def test_what_is_wrong_in_itself_is_left_to_the_schema(tree: YamlTree) -> None:
    assert found(tree) == []


def test_entries_that_cannot_be_read_claim_nothing() -> None:
    assert found(routes(one={"hosts": ["a b"]}, two={"hosts": 5}, three={"paths": [None]}, four={})) == []


def test_the_number_of_claims_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "MAX_CONFLICTS", 3)
    tree = routes(one={"paths": ["/a", "/b"]}, two={"paths": ["/c", "/d"]})
    assert found(tree) == [("routes.two", "too many hosts and paths")]


def test_listeners_cannot_be_in_each_others_way() -> None:
    listen: YamlTree = [{"address": "127.0.0.1:80"}, {"address": "x"}, 5, {"address": ":81"}, {"address": ":80"}]
    assert found({"server": {"listen": listen}}) == [("server.listen[4].address", ":80 a second time")]
