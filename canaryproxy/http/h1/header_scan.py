"""Splits complete heads with the one-pass patterns of `grammar`.

The reference of header_scan.pyx, which runs when compiled. The callers, `request_parser` and `response_parser`,
interpret the fields.
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
    """The request head at `begin`; None if it is incomplete or invalid.

    Sets `end`, `method`, `target`, `encoded`, `version`, `plain`, `special` with the fields that mean something to a
    proxy, and `host` if it comes first and is not obviously malformed (then it is not in `special`). A field whose name
    differs from a special one by `_` for `-` is dropped.
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
    """The response head at `begin`; None if it is incomplete or invalid.

    Sets `end`, `status`, `reason`, `version`, `plain`. Nearly every response is HTTP/1.1, may have a body, and has one
    length and no other special field but `Connection: keep-alive`: then `length` and `body` are set and `special` is
    empty. For any other response `special` has all special fields, and `length` is -1.
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
    """The number of line feeds between two offsets."""
    return data.count(b"\n", begin, end)
