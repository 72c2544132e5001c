"""Complete heads, taken apart: the one-pass patterns of `grammar` at work.

The reference of header_scan.pyx, which is what runs compiled. What a head means is settled by the callers, `request`
and `response`.
"""

from canaryproxy.http.h1 import grammar
from canaryproxy.model.fields import REQUEST_SPECIAL, RESPONSE_SPECIAL
from canaryproxy.model.head import Body, RequestHead, ResponseHead

LENGTH = Body.LENGTH
UNDERSCORE = b"_"[0]

_request_fields = grammar.field_finder(*REQUEST_SPECIAL, also=grammar.X_FORWARDED)
_special_field = _request_fields.search
_split_request = _request_fields.split
_split_response = grammar.field_finder(*RESPONSE_SPECIAL).split
_routine_head = grammar.routine_head(grammar.STATUS_LINE, *RESPONSE_SPECIAL).match


def take_request(data: bytes, begin: int) -> RequestHead | None:
    """The request head at `begin`, or None where no whole and valid one is.

    Filled in: `end`, `method`, `target`, `encoded`, `version`, `plain`, `special` with the fields that mean something
    to a proxy, and `host` if that comes first and is not malformed at first sight; it is not in `special` then. A name
    with `_` where a special one has `-` goes nowhere: it is dropped.
    """
    match = grammar.request_head(data, begin)
    if match is None:
        return None
    method, target, minor, host, plain = match.groups()
    head = RequestHead(method, target, 11 if minor == b"1" else 10)
    head.host = host
    block, stop = match.span(5)
    head.end = stop + 2
    if _special_field(data, block - 1, stop) is None:
        head.plain = plain
    else:
        parts = _split_request(data[block - 1 : stop])
        head.plain = b"".join(parts[::3])[1:]
        head.special = _specials(parts)
    return head


def take_response(data: bytes, begin: int) -> ResponseHead | None:
    """The response head at `begin`, or None where no whole and valid one is.

    Filled in: `end`, `status`, `reason`, `version`, `plain`. Nearly every response is HTTP/1.1, may have a body, has
    one length and no other special field but `Connection: keep-alive`: then `length` and `body` are settled and nothing
    else is special. Of any other one all special fields are in `special`, and the length is left at -1.
    """
    match = _routine_head(data, begin)
    if match is not None:
        minor, digits, reason, first, one, second, two, third = match.groups()
        status = int(digits)
        if (one is None) != (two is None) and minor == b"1" and status >= 200 and status not in {204, 304}:
            head = ResponseHead(status, reason or b"")
            head.plain = first + second + third
            head.body, head.length = LENGTH, int(one or two)
            head.end = match.end()
            return head
    match = grammar.response_head(data, begin)
    if match is None:
        return None
    minor, digits, reason, plain = match.groups()
    head = ResponseHead(int(digits), reason or b"", 11 if minor == b"1" else 10)
    parts = _split_response(b"\n" + plain)
    head.plain = plain if len(parts) == 1 else b"".join(parts[::3])[1:]
    head.special = _specials(parts)
    head.end = match.end()
    return head


def _specials(parts: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The special fields of a split block as (lower-case name, value without outer white space)."""
    pairs = zip(parts[1::3], parts[2::3])  # noqa: B905 - alike by construction, and hot
    return [(name.lower(), value.strip(b" \t")) for name, value in pairs if UNDERSCORE not in name]


def field_line(line: bytes) -> bool:
    """Whether this is one valid field line with its CRLF."""
    return grammar.field_line(line) is not None


def count_lines(data: bytes, begin: int, end: int) -> int:
    """The line feeds between two places."""
    return data.count(b"\n", begin, end)
