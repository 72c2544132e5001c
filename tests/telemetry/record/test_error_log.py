"""Lines about endpoints: one for each request, a count for what is too many, nothing that a peer could have written."""

import json
import logging
from typing import Any

import pytest

from canaryproxy.log import JsonFormatter
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Failure
from canaryproxy.model.table import Endpoint, Route, Version
from canaryproxy.telemetry.record.error_log import MAX_LINES, MAX_REASON_LENGTH, PERIOD_SECONDS, ErrorLog

STABLE = Version("stable", ())
CANARY = Version("canary", (Endpoint("192.0.2.1", 80), Endpoint("192.0.2.2", 80)))


def decide(route: str = "shop", version: Version = CANARY, number: int = 0) -> Decision:
    return VersionChoice(Route(route, STABLE, CANARY), version, "weight", analysed=True).decisions()[number]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors(clock: Clock, caplog: pytest.LogCaptureFixture) -> ErrorLog:
    caplog.set_level(logging.INFO, "canaryproxy")
    return ErrorLog(clock)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = record.fields  # type: ignore[attr-defined]
    return found


def test_a_line_says_which_request_which_endpoint_and_why(errors: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    errors.note(Failure.RESPONSE_INVALID, decide(), b"4f-1", "the response's Content-Length is repeated")
    (record,) = caplog.records
    assert record.getMessage() == (
        "shop: canary at 192.0.2.1:80: http_protocol_error: the response's Content-Length is repeated (request 4f-1)"
    )
    assert record.levelname == "WARNING"
    line = json.loads(JsonFormatter().format(record))
    assert {
        name: line[name] for name in ("event", "route", "version", "endpoint", "error", "reason", "request_id")
    } == {
        "event": "upstream-error",
        "route": "shop",
        "version": "canary",
        "endpoint": "192.0.2.1:80",
        "error": "http_protocol_error",
        "reason": "the response's Content-Length is repeated",
        "request_id": "4f-1",
    }


def test_what_is_too_many_is_counted_and_the_count_is_said(
    errors: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        errors.note(Failure.CONNECT_REFUSED, decide(), b"1", "Connection refused")
    assert len(caplog.records) == MAX_LINES
    errors.sweep(clock.now + PERIOD_SECONDS - 0.1)
    assert len(caplog.records) == MAX_LINES
    errors.sweep(clock.now + PERIOD_SECONDS)
    assert (
        caplog.records[-1].getMessage() == "shop: canary at 192.0.2.1:80: connection_refused: 95 more like this in 10 s"
    )
    assert fields(caplog.records[-1])["suppressed"] == 95
    errors.sweep(clock.now + 2 * PERIOD_SECONDS)
    assert len(caplog.records) == MAX_LINES + 1


def test_the_count_is_said_before_the_next_line_where_no_sweep_came_between(
    errors: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(MAX_LINES + 2):
        errors.note(Failure.UPSTREAM_RESET, decide(), b"1", "x")
    clock.now += PERIOD_SECONDS
    errors.note(Failure.UPSTREAM_RESET, decide(), b"2", "x")
    assert [fields(record).get("suppressed") for record in caplog.records[-2:]] == [2, None]


def test_one_that_fails_all_the_time_hides_no_other(errors: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1_000):
        errors.note(Failure.CONNECT_REFUSED, decide(), b"1", "Connection refused")
    caplog.clear()
    errors.note(Failure.CONNECT_TIMEOUT, decide(), b"2", "")
    errors.note(Failure.CONNECT_REFUSED, decide(number=1), b"3", "")
    errors.note(Failure.CONNECT_REFUSED, decide("blog"), b"4", "")
    errors.note(Failure.CONNECT_REFUSED, decide(), b"5", "", mirror=True)
    assert [fields(record)["request_id"] for record in caplog.records] == ["2", "3", "4", "5"]
    assert "a mirrored copy" in caplog.records[-1].getMessage()


def test_a_worker_that_ends_says_what_it_has_not_said(errors: ErrorLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(MAX_LINES + 1):
        errors.note(Failure.UPSTREAM_RESET, decide(), b"1", "x")
    errors.close()
    assert fields(caplog.records[-1])["suppressed"] == 1


def test_a_failure_without_a_reason_or_an_endpoint_is_still_a_sentence(
    errors: ErrorLog, caplog: pytest.LogCaptureFixture
) -> None:
    errors.note(Failure.NO_ENDPOINT, decide(version=STABLE), b"", "")
    assert caplog.records[0].getMessage() == (
        "shop: stable at no endpoint: destination_unavailable: no endpoint (request -)"
    )


def test_a_reason_is_escaped_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorLog(lambda: 0.0)
    errors.note(Failure.NO_ENDPOINT, decide(version=STABLE), b"a\x85b", "two\r\n\x1b[31m\u202e" + "x" * 500)
    said = caplog.records[0].getMessage()
    assert said.isprintable()
    assert "two\\r\\n\\x1b[31m\\u202exxx" in said
    assert said.endswith("x... (request a\\x85b)")
    assert len(said) < MAX_REASON_LENGTH + 100
