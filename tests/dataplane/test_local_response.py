"""Our own answers."""

import json

import pytest

from canaryproxy.dataplane.local_response import answer, options
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead

SENT = [failure for failure in Failure if failure is not Failure.CLIENT_GONE]


def head(method: bytes = b"GET", plain: bytes = b"", version: int = 11) -> RequestHead:
    request = RequestHead(method, b"/secret", version)
    request.plain = plain
    return request


@pytest.mark.parametrize("failure", SENT)
def test_every_failure_has_an_answer_that_names_its_cause_and_echoes_nothing(failure: Failure) -> None:
    """H50."""
    data = answer(failure, head(plain=b"X-Evil: yes\r\n"), "canaryproxy-x", close=True)
    fields, _, body = data.partition(b"\r\n\r\n")
    assert fields.startswith(b"HTTP/1.1 %d " % failure.status)
    assert b"Proxy-Status: canaryproxy-x; error=" + failure.error.encode() in fields
    assert b"Content-Length: %d\r\n" % len(body) in fields
    assert b"Connection: close" in fields
    assert b"secret" not in data
    assert b"Evil" not in data


def test_json_is_given_to_who_asks_for_it() -> None:
    data = answer(Failure.NO_ROUTE, head(plain=b"accept: application/json\r\n"), "x", close=False)
    assert json.loads(data.partition(b"\r\n\r\n")[2]) == {
        "status": 404,
        "title": "Not Found",
        "error": "destination_not_found",
    }


def test_head_gets_the_fields_without_the_body() -> None:
    data = answer(Failure.CONNECT_REFUSED, head(b"HEAD"), "x", close=False)
    assert data.endswith(b"\r\n\r\n")
    assert b"Content-Length: 36" in data


def test_503_says_when_to_come_back_and_405_what_is_allowed() -> None:
    assert b"Retry-After: 1\r\n" in answer(Failure.OVERLOADED, None, "x", close=True)
    assert b"Allow: GET" in answer(Failure.METHOD_REFUSED, None, "x", close=True)


def test_persistence_is_reported_in_the_clients_terms() -> None:
    assert b"Connection" not in answer(Failure.NO_ROUTE, head(), "x", close=False)
    assert b"Connection: keep-alive" in answer(Failure.NO_ROUTE, head(version=10), "x", close=False)
    assert options(head(), close=False).endswith(b"Content-Length: 0\r\n\r\n")
