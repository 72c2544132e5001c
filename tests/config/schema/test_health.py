"""Health checks as written."""

import pytest
from pydantic import ValidationError

from canaryproxy.config.schema.health import HealthConfig


def health(**more: object) -> HealthConfig:
    return HealthConfig.model_validate({"path": "/h", **more})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (200, ((200, 200),)),
        ("204", ((204, 204),)),
        ("2xx", ((200, 299),)),
        ("200-204", ((200, 204),)),
        (["2XX", 301, "400-499"], ((200, 299), (301, 301), (400, 499))),
    ],
)
def test_statuses_are_single_ones_classes_spans_and_lists(written: object, read: object) -> None:
    assert health(status=written).status == read


@pytest.mark.parametrize("written", ["", "2x", 99, 600, "204-200", "200-", [], True, "200, 204", 2.5])
def test_anything_else_is_no_status(written: object) -> None:
    with pytest.raises(ValidationError):
        health(status=written)


def test_left_out_any_status_from_200_to_399_is_healthy() -> None:
    assert health().status == ((200, 399),)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Shop.Test", "shop.test"),
        ("shop.test:81", "shop.test:81"),
        ("192.0.2.1:81", "192.0.2.1:81"),
        ("[2001:DB8::1]:81", "[2001:db8::1]:81"),
    ],
)
def test_a_host_may_have_a_port(written: str, read: str) -> None:
    assert health(host=written).host == read


@pytest.mark.parametrize("written", ["", "http://a", "a/b", "u@a", "a b", "a:0", "a:x", "::1", "[x]", ":81", 5])
def test_anything_else_is_no_host(written: object) -> None:
    with pytest.raises(ValidationError):
        health(host=written)


def test_the_host_is_said_in_one_place() -> None:
    with pytest.raises(ValidationError, match="write it as `host:"):
        health(headers={"Host": "a.test"})
