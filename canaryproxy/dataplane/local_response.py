"""The mapping from a failure to the response that the client gets.

Local responses identify themselves (`Proxy-Status`, RFC 9209), give the reason as one stable word, and echo nothing of
the request.
"""

from http import HTTPStatus

from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead

RETRY_AFTER = b"Retry-After: 1\r\n"
ALLOW = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"


NO_STORE = b"Cache-Control: no-store\r\n"


def wants_json(head: RequestHead) -> bool:
    """Whether the Accept field names JSON."""
    return any(name == b"accept" and b"application/json" in value.lower() for name, value in head.fields())


def answer(failure: Failure, head: RequestHead | None, identity: str, *, close: bool, extra: bytes = b"") -> bytes:
    """A complete response for `failure`; `head` is the request's, None if it could not be parsed. `extra` are
    additional lines. It must not be cached: the failure is temporary.
    """
    status, error = failure.status, failure.error.encode("ascii")
    phrase = HTTPStatus(status).phrase.encode("ascii")
    if head is not None and wants_json(head):
        kind = b"application/json"
        body = b'{"status": %d, "title": "%b", "error": "%b"}\n' % (status, phrase, error)
    else:
        kind = b"text/plain; charset=utf-8"
        body = b"%d %b: %b\n" % (status, phrase, error)
    fields = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body))
    fields += b"Proxy-Status: %b; error=%b\r\n" % (identity.encode("ascii"), error)
    if status == 503:
        fields += RETRY_AFTER
    elif status == 405:
        fields += ALLOW
    fields += NO_STORE + extra + persistence(head, close=close)
    if head is not None and head.method == b"HEAD":  # Content-Length stays that of the body (RFC 9110 9.3.2)
        body = b""
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, phrase, fields, body)


def options(head: RequestHead, *, close: bool, extra: bytes = b"") -> bytes:
    """The response to an OPTIONS that must not be forwarded (Max-Forwards: 0, RFC 9110 7.6.2)."""
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n%b%b\r\n" % (ALLOW, extra, persistence(head, close=close))


def persistence(head: RequestHead | None, *, close: bool) -> bytes:
    """The Connection field of a response, if it needs one."""
    if close:
        return b"Connection: close\r\n"
    return b"" if head is None or head.version != 10 else b"Connection: keep-alive\r\n"
