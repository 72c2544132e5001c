"""The most expensive inputs within the limits, by stage: milliseconds, and microseconds per KiB.

    python -m bench.micro.worst

Costs that are not linear show: each head is 60 KiB, each body 256 KiB, each set of rules 200. Best of three, in CPU
time.
"""

import time
from collections.abc import Callable
from ipaddress import ip_network

from canaryproxy.http.forwarding import HeadRewriter
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.model.client import Client
from canaryproxy.model.failure import RequestRejectedError
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.head import RequestHead
from canaryproxy.model.rule import Condition, Kind, Rule
from canaryproxy.model.settings import Limits
from canaryproxy.routing.path import normalise
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.rule_index import RuleIndex

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HOPS = HeadRewriter("bench", 5)
NETWORKS = [ip_network("10.0.0.0/8")]


def show(what: str, size: int, work: Callable[[], object]) -> None:
    """Time a call and print it."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    print(f"{what:44} {size / 1024:6.1f} KiB {best * 1e3:9.3f} ms {best * 1e6 * 1024 / size:9.2f} us/KiB")


def read(reader: RequestParser | ResponseParser, data: bytes, step: int) -> None:
    """Feed all data, read all events."""
    try:
        for place in range(0, len(data), step):
            reader.feed(data[place : place + step])
            while reader.next() is not None:
                pass
    except RequestRejectedError:
        return


def request(what: str, data: bytes, step: int = 1 << 20) -> None:
    """A request as its parser gets it."""
    show(what, len(data), lambda: read(RequestParser(Limits()), data, step))


def response(what: str, data: bytes) -> None:
    """A response as its parser gets it."""

    def work() -> None:
        reader = ResponseParser()
        reader.expect(b"GET")
        read(reader, data, 1 << 20)

    show(what, len(data), work)


def head_of(fields: bytes, target: bytes = b"/") -> RequestHead:
    """A head of these fields."""
    reader = RequestParser(Limits())
    reader.feed(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    head = reader.next()
    assert isinstance(head, RequestHead)
    return head


def passed_on(what: str, fields: bytes, forwarding: Forwarding) -> None:
    """A head that a trusted proxy passes on."""
    head, peer = head_of(fields), HOPS.client_for("10.0.0.1", b"http", NETWORKS, forwarding)
    show(f"passed on: {what}", len(fields), lambda: HOPS.request(head, peer, b"x", None))
    show(f"source: {what}", len(fields), lambda: peer.source(head.special))


def ruled(kind: Kind, value: str, name: str, what: str, fields: bytes) -> None:
    """Two hundred rules for cookies."""
    conditions = [Condition("cookie", kind, (value.format(number),), name.format(number)) for number in range(200)]
    book = RuleIndex([Rule(f"r{number}", (one,), "canary") for number, one in enumerate(conditions)])
    head, client = head_of(fields), Client("192.0.2.1")
    show(f"200 rules, {kind} {value} {name}: {what}", len(fields), lambda: book.first_match(RequestView(head, client)))


def main() -> None:
    """All stages."""
    request("chunks of one byte", POST + b"1\r\nx\r\n" * 43_000)
    request("chunks with extensions", POST + b"1;\r\nx\r\n" * 16_000)
    response("chunks of one byte, of an origin", OK + b"1\r\nx\r\n" * 43_000)
    request("98 fields", GET + (b"a: " + b"x" * 600 + b"\r\n") * 98 + b"\r\n")
    request("98 Connection fields", GET + (b"Connection: " + b"a," * 300 + b"\r\n") * 98 + b"\r\n")
    request("one head byte by byte", GET + b"a: " + b"x" * 60_000, 1)
    response("folded lines", b"HTTP/1.1 200 OK\r\na: b\r\n" + b" \r\n" * 40_000)
    response("a fold behind spaces", b"HTTP/1.1 200 OK\r\na: b\r\n c" + b" " * 100_000 + b"d\r\n\r\n")
    for what, fields in {
        "spaces in Connection": b"Connection: a" + b" " * 60_000 + b"b\r\n",
        "options of Connection": b"Connection: " + b"a," * 30_000 + b"\r\n",
        "X-Forwarded-For": b"X-Forwarded-For: " + b"10.0.0.1," * 6_800 + b"10.0.0.1\r\n",
    }.items():
        passed_on(what, fields, Forwarding())
    for what, value in {"elements": b"a=b," * 15_000, "quoted": b'a="' + b"\\a" * 30_000 + b'"'}.items():
        passed_on(f"Forwarded, {what}", b"Forwarded: " + value + b"\r\n", Forwarding("rfc7239"))
    for path in (b"/.." * 2_700, b"/%2e%2e" * 1_160, b"/" * 8_190, b"/%61" * 2_000, b"/" + b"%" * 8_000):
        show(f"path {path[:7].decode()}...", len(path), lambda path=path: normalise(path))  # type: ignore[misc]
    floods = {
        "pairs": b"Cookie: " + b"a=1;" * 15_000 + b"\r\n",
        "values": b"Cookie: " + b"".join(b"n0=%d;" % number for number in range(6_500)) + b"\r\n",
        "one value": b"Cookie: n0=" + b"v" * 60_000 + b"\r\n",
    }
    for what, fields in floods.items():
        for name in ("n0", "n{}"):
            ruled("regex", "v{}x", name, what, fields)
            ruled("regex", ".*x{}.*", name, what, fields)
            ruled("prefix", "w{}", name, what, fields)
            ruled("exact", "w{}", name, what, fields)
            ruled("item", "w{}", name, what, fields)
        ruled("regex", "a.*b.*{}", "n0", what, fields)


if __name__ == "__main__":
    main()
