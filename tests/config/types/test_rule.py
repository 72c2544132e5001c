"""Rules as they are written; the messages for what is wrong stand in broken/rules-unfit.txt."""

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.rule import (
    MAX_ITEMS,
    MAX_VALUE_LENGTH,
    MatchSpec,
    cookie_name,
    fallback,
    fallback_text,
    forwarded_name,
    header_name,
    matcher,
    method,
    parameter_name,
    path_matcher,
    upgrades,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", MatchSpec("exact", ("true",))),
        ({"exact": ""}, MatchSpec("exact", ("",))),
        ({"prefix": "a"}, MatchSpec("prefix", ("a",))),
        ({"regex": "a+"}, MatchSpec("regex", ("a+",))),
        ({"present": True}, MatchSpec("present", ("true",))),
        ({"present": False}, MatchSpec("present", ("false",))),
        ({"in": ["a", "b", "a"]}, MatchSpec("in", ("a", "b"))),
        ({"item": "a"}, MatchSpec("item", ("a",))),
        ({"item": ["a", "b", "a"]}, MatchSpec("item", ("a", "b"))),
    ],
)
def test_a_value_is_a_text_or_one_way_to_compare(written: object, read: MatchSpec) -> None:
    assert matcher(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/A%2fb", MatchSpec("exact", ("/A%2Fb",))),
        ("/a/", MatchSpec("exact", ("/a/",))),
        ("/", MatchSpec("exact", ("/",))),
        ({"prefix": "/a/"}, MatchSpec("prefix", ("/a",))),
        ({"regex": "/[a-z]+"}, MatchSpec("regex", ("/[a-z]+",))),
        (None, None),
    ],
)
def test_a_path_is_spelled_as_requests_are(written: object, read: MatchSpec | None) -> None:
    assert path_matcher(written) == read


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        {},
        {"exact": "a", "prefix": "b"},
        {"like": "a"},
        {"in": []},
        {"in": "a"},
        {"in": ["a"] * (MAX_ITEMS + 1)},
        {"item": ""},
        {"item": []},
        {"item": [["a"]]},
        {"item": 5},
        {"item": True},
        "a" * (MAX_VALUE_LENGTH + 1),
        "a\r\nb",
        "\0",
        " a",
        {"regex": "ä"},
        {"regex": "("},
        {"present": "true"},
        True,
        5,
        1.5,
    ],
)
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(InvalidValueError):
        matcher(written)


def test_names_come_in_the_form_that_is_compared() -> None:
    assert header_name("X-User-ID") == "x-user-id"
    assert cookie_name("Beta") == "Beta"
    assert parameter_name("a b") == "a b"
    assert method("PURGE") == "PURGE"


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (header_name, "a b"),
        (header_name, 5),
        (header_name, "Connection"),
        (header_name, "cookie"),
        (cookie_name, "a=b"),
        (parameter_name, ""),
        (method, "TRACE"),
        (method, "a b"),
        (fallback, 1),
        (upgrades, "websocket"),
        (upgrades, ["h2c"]),
        (upgrades, [5]),
        (upgrades, ["a/"]),
        (upgrades, ["a/b/c"]),
        (upgrades, ["HTTP/2.0"]),
        (upgrades, ["TLS/1.0"]),
        (forwarded_name, "x-real-ip"),
        (forwarded_name, "x-forwardedfor"),
        (forwarded_name, "X-Forwarded-For"),
        (forwarded_name, "x-forwarded-my_own"),
        (forwarded_name, "x-forwarded-a b"),
        (forwarded_name, 5),
    ],
)
def test_unfit_names_and_choices_are_refused(read: object, written: object) -> None:
    with pytest.raises(InvalidValueError):
        read(written)  # type: ignore[operator]


def test_fallback_and_upgrades_have_their_short_forms() -> None:
    assert [fallback_text(fallback(value)) for value in (True, False, "off", "both")] == [
        "true",
        "false",
        "false",
        "both",
    ]
    assert (upgrades("none"), upgrades(["WebSocket", "SPDY/3.1"])) == ((), ("websocket", "spdy/3.1"))


def test_forwarding_fields_are_named_by_family_and_by_name() -> None:
    assert forwarded_name("X-Forwarded-Prefix") == "x-forwarded-prefix"
