"""Determines the length of a body, and rejects messages that two readers could frame differently (RFC 9112 6).

Stricter than the RFC in one respect: messages that a recipient may repair (equal repeated lengths, a length beside
chunked) are rejected, since the next hop may repair them differently.
"""

from canaryproxy.http.h1 import grammar
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import Body, RequestHead, ResponseHead

LENGTH, UNTIL_CLOSE = Body.LENGTH, Body.UNTIL_CLOSE
INVALID = Failure.RESPONSE_INVALID
MAX_DIGITS = len(str(grammar.MAX_LENGTH))


def content_length(value: bytes, failure: Failure) -> int:
    """The value of Content-Length. Raises `RequestRejectedError(failure)` unless it is 1*DIGIT within 2^63-1."""
    if not value.isdigit() or len(value) > MAX_DIGITS or (length := int(value)) > grammar.MAX_LENGTH:
        raise RequestRejectedError(failure, "Content-Length is not a number in range")
    return length


def _codings(values: list[bytes]) -> list[bytes]:
    return [coding.strip(b" \t").lower() for coding in b",".join(values).split(b",")]


def frame_request(head: RequestHead, lengths: list[bytes], codings: list[bytes]) -> None:
    """Set `body` and `length` of a request from its Content-Length and Transfer-Encoding values. Raises
    `RequestRejectedError`: BAD_REQUEST for ambiguous framing, CODING_UNKNOWN for codings other than chunked.
    """
    if codings:
        if lengths or head.version == 10:
            raise RequestRejectedError(Failure.BAD_REQUEST, "Transfer-Encoding beside Content-Length or in HTTP/1.0")
        names = _codings(codings)
        if names != [b"chunked"]:
            if names[-1] != b"chunked" or names.count(b"chunked") > 1 or not all(map(grammar.token, names)):
                raise RequestRejectedError(Failure.BAD_REQUEST, "the final transfer coding is not chunked, once")
            raise RequestRejectedError(Failure.CODING_UNKNOWN, "a transfer coding other than chunked")
        head.body = Body.STREAM
    elif lengths:
        if len(lengths) > 1:
            raise RequestRejectedError(Failure.BAD_REQUEST, "Content-Length is repeated")
        head.length = content_length(lengths[0], Failure.BAD_REQUEST)
        head.body = LENGTH


def frame_response(head: ResponseHead, method: bytes, lengths: list[bytes], codings: list[bytes]) -> None:
    """Set `body` and `length` of a response to `method` (RFC 9112 6.3, in its order).

    A response to HEAD and a 304 keep their Content-Length; 1xx and 204 have none (RFC 9110 8.6). Raises
    `RequestRejectedError` with RESPONSE_INVALID for ambiguous or unknown framing.
    """
    status = head.status
    if status < 200 or status == 204:
        return
    if codings:
        if lengths or head.version == 10 or _codings(codings) != [b"chunked"]:
            raise RequestRejectedError(INVALID, "the response's Transfer-Encoding is ambiguous or unknown")
        head.body = Body.STREAM
    elif lengths:
        if len(lengths) > 1:
            raise RequestRejectedError(INVALID, "the response's Content-Length is repeated")
        head.length = content_length(lengths[0], INVALID)
        head.body = LENGTH
    else:
        head.body = UNTIL_CLOSE
    if status == 304 or method == b"HEAD":
        head.body = Body.NONE
    elif head.body is UNTIL_CLOSE:
        head.close = True
