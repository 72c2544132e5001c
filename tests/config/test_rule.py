"""Rules as they are written; the messages for what is wrong stand in broken/rules-unfit.txt."""

import pytest

from canaryproxy.config.problem import Wrong
from canaryproxy.config.quantity import duration
from canaryproxy.config.rule import (
    LONGEST_VALUE,
    MOST_ITEMS,
    Matcher,
    affinity,
    affinity_text,
    cookie_name,
    fallback,
    fallback_text,
    header_name,
    matcher,
    method,
    parameter_name,
    path_matcher,
    rule_name,
    upgrades,
    version_name,
)
from canaryproxy.model.table import Affinity

read_affinity = affinity(duration(1, 100))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", Matcher("exact", ("true",))),
        ({"exact": ""}, Matcher("exact", ("",))),
        ({"prefix": "a"}, Matcher("prefix", ("a",))),
        ({"regex": "a+"}, Matcher("regex", ("a+",))),
        ({"present": True}, Matcher("present", ("true",))),
        ({"present": False}, Matcher("present", ("false",))),
        ({"in": ["a", "b", "a"]}, Matcher("in", ("a", "b"))),
    ],
)
def test_a_value_is_a_text_or_one_way_to_compare(written: object, read: Matcher) -> None:
    assert matcher(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/A%2fb", Matcher("exact", ("/A%2Fb",))),
        ("/a/", Matcher("exact", ("/a/",))),
        ("/", Matcher("exact", ("/",))),
        ({"prefix": "/a/"}, Matcher("prefix", ("/a",))),
        ({"regex": "/[a-z]+"}, Matcher("regex", ("/[a-z]+",))),
    ],
)
def test_a_path_is_spelled_as_requests_are(written: object, read: Matcher) -> None:
    assert path_matcher(written) == read


@pytest.mark.parametrize(
    "written",
    [
        None, [], {}, {"exact": "a", "prefix": "b"}, {"like": "a"}, {"in": []}, {"in": "a"}, {"in": ["a"] * (MOST_ITEMS + 1)},
        "a" * (LONGEST_VALUE + 1), "a\r\nb", "\0", " a", {"regex": "ä"}, {"regex": "("}, {"present": "true"}, True, 5, 1.5,
    ],
)  # fmt: skip
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        matcher(written)


def test_names_come_in_the_form_that_is_compared() -> None:
    assert header_name("X-User-ID") == "x-user-id"
    assert cookie_name("Beta") == "Beta"
    assert parameter_name("a b") == "a b"
    assert rule_name("testers-1") == "testers-1"
    assert method("PURGE") == "PURGE"
    assert [version_name(name) for name in ("stable", "canary")] == ["stable", "canary"]


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (header_name, "a b"), (header_name, 5), (header_name, "Connection"), (header_name, "cookie"), (cookie_name, "a=b"),
        (parameter_name, ""), (rule_name, ""), (rule_name, 5), (method, "TRACE"), (method, "a b"), (version_name, "blue"),
        (fallback, 1), (upgrades, "websocket"), (upgrades, ["h2c"]), (upgrades, [5]), (read_affinity, {"cookie": "a", "b": 1}),
        (read_affinity, 5), (read_affinity, {"cookie": "a", "max_age": "0s"}), (read_affinity, {"header": "te"}),
    ],
)  # fmt: skip
def test_unfit_names_and_choices_are_refused(read: object, written: object) -> None:
    with pytest.raises(Wrong):
        read(written)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("written", "read", "text"),
    [
        ("off", None, "none"), (None, None, "none"), ("cookie", Affinity("cookie", "canaryproxy"), "cookie"),
        ("source", Affinity("source"), "source"), ({"header": "X-User"}, Affinity("header", "x-user"), "header x-user"),
        ({"cookie": "c", "max_age": "90s"}, Affinity("cookie", "c", 90), "cookie c"),
    ],
)  # fmt: skip
def test_affinity_is_a_word_or_a_mapping(written: object, read: Affinity | None, text: str) -> None:
    assert read_affinity(written) == read
    assert affinity_text(read) == text


def test_fallback_and_upgrades_have_their_short_forms() -> None:
    assert [fallback_text(fallback(value)) for value in (True, False, "off", "both")] == [
        "true",
        "false",
        "false",
        "both",
    ]
    assert (upgrades("none"), upgrades(["WebSocket", "mqtt"])) == ((), ("websocket", "mqtt"))
