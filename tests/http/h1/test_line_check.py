"""Line by line: the verdict stands as soon as the line does."""

import pytest

from canaryproxy.http.h1.line_check import HeadSyntax, LineCheck
from canaryproxy.model.failure import Failure, RequestRejectedError

TRAILERS = HeadSyntax(None, 0, 60, 3, Failure.BAD_REQUEST, Failure.TARGET_TOO_LONG, Failure.FIELDS_TOO_LARGE)


def test_complete_lines_are_checked_once_and_an_incomplete_one_waits() -> None:
    check = LineCheck(TRAILERS)
    check.advance(b"..X: y\r\nno colon yet", 2)
    with pytest.raises(RequestRejectedError, match="field line 2"):
        check.advance(b"..X: y\r\nno colon yet\r\n", 2)


@pytest.mark.parametrize("data", [b"X: " + b"y" * 60, b"X: " + b"y" * 60 + b"\r\n", b"X: y\r\n" * 4])
def test_limits_are_met_before_or_at_the_line(data: bytes) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        LineCheck(TRAILERS).advance(data, 0)
    assert caught.value.failure is Failure.FIELDS_TOO_LARGE


def test_reset_begins_with_a_new_head() -> None:
    check = LineCheck(TRAILERS)
    check.advance(b"X: y\r\n" * 3, 0)
    check.reset()
    check.advance(b"X: y\r\n" * 3, 0)
