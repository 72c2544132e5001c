"""What only several entries together can get wrong."""

import pytest

from canaryproxy.config import claims
from canaryproxy.config.claims import conflicts
from canaryproxy.config.document import Spot, Tree
from canaryproxy.config.problem import Place, path_text


def found(tree: Tree) -> list[tuple[str, str]]:
    return [(path_text(fault.loc), fault.wrong.found or "") for fault in conflicts(tree, {}) if fault.wrong]


def routes(**claimed: Tree) -> Tree:
    return {"routes": dict(claimed)}


def test_different_hosts_or_paths_do_not_conflict() -> None:
    one: Tree = {"hosts": ["a.example", "*.a.example"], "paths": ["/", "/x"]}
    two: Tree = {"hosts": ["b.example"], "paths": ["/", "/x"]}
    three: Tree = {"hosts": ["a.example"], "paths": ["/y"]}
    four: Tree = {"paths": ["/"]}
    assert found(routes(one=one, two=two, three=three, four=four)) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({}, {}, [("routes.two", "a second claim to / on any host")]),
        ({}, {"paths": ["/"]}, [("routes.two.paths[0]", "a second claim to / on any host")]),
        ({"paths": ["/"]}, {}, [("routes.two", "a second claim to / on any host")]),
        (
            {"hosts": ["a.example", "b.example"]},
            {"hosts": ["c.example", "B.Example."]},
            [("routes.two", "a second claim to / on b.example")],
        ),
        (
            {"hosts": ["a.example"], "paths": ["/x", "/y"]},
            {"hosts": ["a.example"], "paths": ["/y/", "/x"]},
            [
                ("routes.two.paths[0]", "a second claim to /y on a.example"),
                ("routes.two.paths[1]", "a second claim to /x on a.example"),
            ],
        ),
    ],
)
def test_two_routes_cannot_claim_the_same_host_and_path(one: Tree, two: Tree, expected: list[tuple[str, str]]) -> None:
    assert found(routes(one=one, two=two)) == expected


def test_a_route_cannot_list_the_same_thing_twice() -> None:
    assert found(routes(one={"paths": ["/x", "/x/"]})) == [("routes.one.paths[1]", "a second claim to /x on any host")]
    assert found(routes(one={"hosts": ["a", "A"], "paths": ["/x", "/y"]})) == [
        ("routes.one.hosts[1]", "a second claim to /x on a")
    ]


def test_both_lines_are_named() -> None:
    spots = {("routes", "one"): Spot(Place(2, 3)), ("routes", "one", "paths", 0): Spot(Place(4, 7), "/")}
    tree = routes(one={"paths": ["/"]}, two={"paths": ["/"]})
    (fault,) = conflicts(tree, spots)
    assert fault.wrong is not None
    assert fault.wrong.mend.endswith("routes.one at line 4 has it already")


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
def test_what_is_wrong_in_itself_is_left_to_the_schema(tree: Tree) -> None:
    assert found(tree) == []


def test_entries_that_cannot_be_read_claim_nothing() -> None:
    assert found(routes(one={"hosts": ["a b"]}, two={"hosts": 5}, three={"paths": [None]}, four={})) == []


def test_the_number_of_claims_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_CLAIMS", 3)
    tree = routes(one={"paths": ["/a", "/b"]}, two={"paths": ["/c", "/d"]})
    assert found(tree) == [("routes.two", "too many hosts and paths")]


def test_listeners_cannot_be_in_each_others_way() -> None:
    listen: Tree = [{"address": "127.0.0.1:80"}, {"address": "x"}, 5, {"address": ":81"}, {"address": ":80"}]
    assert found({"server": {"listen": listen}}) == [("server.listen[4].address", ":80 a second time")]
