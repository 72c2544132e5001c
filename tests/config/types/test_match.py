"""Hosts, paths and names: one spelling for each, a hint for each slip."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.match import host_pattern, path_prefix, route_name, rule_name, version_text
from canaryproxy.routing.path import normalise
from canaryproxy.routing.route_index import host_name


def refused(read: Callable[[Any], object], written: object) -> InvalidValueError | None:
    try:
        read(written)
    except InvalidValueError as wrong:
        return wrong
    return None


def hint_of(read: Callable[[Any], object], written: object) -> str:
    wrong = refused(read, written)
    assert wrong is not None
    return wrong.hint


@pytest.mark.parametrize("name", ["default", "shop", "0", "a.b_c-d", "x" * 63])
def test_a_route_name_is_fit_for_a_label(name: str) -> None:
    assert route_name(name) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("My Shop", ": write my-shop"), ("-a", ": write a"), ("Büro!", ": write b-ro"), ("x" * 64, ": write " + "x" * 63)],
)
def test_a_route_name_nearly_right_is_corrected(name: str, hint: str) -> None:
    assert hint_of(route_name, name).endswith(hint)


@pytest.mark.parametrize("name", ["", "...", "\n", None, 5])
def test_a_route_name_beyond_correction_is_reported_the_rule(name: object) -> None:
    assert hint_of(route_name, name).endswith("such as shop")


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.Example.COM.", "shop.example.com"),
        ("*.Example.com.", "*.example.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[0:0::1]", "[::1]"),
    ],
)
def test_a_host_pattern_has_one_spelling(written: str, pattern: str) -> None:
    assert host_pattern(written) == pattern
    assert host_name(pattern.removeprefix("*.").encode()).decode() == pattern.removeprefix("*.")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("http://a", "without scheme and path"),
        ("a/b", "without scheme and path"),
        ("*", "leave out `hosts`"),
        ("a.*", "may only replace whole labels at the front"),
        ("*a.example", "may only replace whole labels at the front"),
        ("*.*.example", "may only replace whole labels at the front"),
        ("a:80", "on every port: write a"),
        (":80", "expected a host such as"),
        ("::1", "put an IPv6 address in brackets"),
        ("[::1]:80", "on every port: write [::1]"),
        ("[x]", "not an IPv6 address"),
        ("*.0.0.1", "neither a host name nor"),
        ("*.1.2.3.4", "cannot have a wildcard"),
        ("a b", "expected a host name"),
        ("büro.example", "xn--bro-hoa.example"),
        ("", "expected a host such as"),
        (" a", "expected a host such as"),
        (None, "expected a host such as"),
        (80, "expected a host such as"),
    ],
)
def test_a_host_pattern_nearly_right_is_corrected(written: object, hint: str) -> None:
    assert hint in hint_of(host_pattern, written)


@pytest.mark.parametrize(
    ("written", "prefix"),
    [("/", "/"), ("/api", "/api"), ("/api/", "/api"), ("/a%2fb", "/a%2Fb"), ("/a;b=c/@x", "/a;b=c/@x"), ("/~x", "/~x")],
)
def test_a_path_prefix_has_one_spelling(written: str, prefix: str) -> None:
    assert path_prefix(written) == prefix


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("api", "write /api"),
        ("http://a/b", "begins with /"),
        ("", "begins with /"),
        (None, "begins with /"),
        (5, "begins with /"),
        ("/a?b", "no query and no fragment: write /a"),
        ("/a#b", "no query and no fragment: write /a"),
        ("/a/*", "is a prefix already: write /a"),
        ("/*", "is a prefix already: write /"),
        ("/a b", "percent-encoding: write /a%20b"),
        ("/ü", "percent-encoding: write /%C3%BC"),
        ("/%zz", "two hexadecimal digits"),
        ("/100%", "two hexadecimal digits"),
        ("/%41%2d", "not percent-encoded: write /A-"),
        ("/%00", "requests with %00 in the path are refused"),
        ("/a/./b", "no segments . and .."),
        ("/..", "no segments . and .."),
        ("/%2e", "not percent-encoded: write /."),
        ("//", "no empty segments: write /"),
        ("/a//b", "no empty segments: write /a/b"),
        ("/" + "a" * 2048, "at most 2048 characters"),
    ],
)
def test_a_path_nearly_right_is_corrected(written: object, hint: str) -> None:
    assert hint in hint_of(path_prefix, written)


@given(st.text(max_size=20))
def test_whatever_is_accepted_is_spelt_as_requests_are_matched(text: str) -> None:
    if refused(path_prefix, f"/{text}") is None:
        prefix = path_prefix(f"/{text}")
        assert normalise(prefix.encode()) == prefix.encode()
        assert path_prefix(prefix) == prefix


@given(st.one_of(st.text(), st.none(), st.integers()))
def test_no_value_makes_the_readers_fail_otherwise(written: object) -> None:
    for read in (route_name, host_pattern, path_prefix):
        wrong = refused(read, written)
        assert read(read(written)) == read(written) if wrong is None else wrong.hint


@pytest.mark.parametrize("name", ["v42", "1.10", "registry:5000/shop@sha256:0123", "x" * 200])
def test_a_tag_a_digest_or_an_image(name: str) -> None:
    assert version_text(name) == name


@pytest.mark.parametrize("number", [1.1, 42, True])
def test_a_number_is_refused_since_its_zeros_would_be_lost(number: object) -> None:
    with pytest.raises(InvalidValueError, match="write it in quotes"):
        version_text(number)


@pytest.mark.parametrize("wrong", ["", "v 42", "v\n42", "x" * 201, "vé", None, ["v42"]])
def test_anything_else_is_none(wrong: object) -> None:
    with pytest.raises(InvalidValueError, match="expected a version's name"):
        version_text(wrong)


def test_a_rule_has_a_name_like_a_route() -> None:
    assert rule_name("testers-1") == "testers-1"
    for other in ("", 5, "Testers!"):
        with pytest.raises(InvalidValueError, match="1 to 63"):
            rule_name(other)
