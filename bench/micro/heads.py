"""Microseconds to read a head: our readers, httptools and h11 (`make bench-micro`).

One process, one thread, the best of several repeats. Our reader validates strictly, finds the framing and sorts the
fields; httptools calls back for each field and leaves most checks to its user; h11 checks nearly as much as ours.
"""

import timeit
from collections.abc import Callable

import h11
import httptools

from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.model.settings import Limits

BROWSER = (
    b"GET /products/17?page=1 HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nReferer: http://shop.example.com/products\r\nCache-Control: no-cache\r\n"
    b"Cookie: session=0123456789abcdef; canaryproxy=fedcba9876543210\r\n\r\n"
)
CURL = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 04:22:11 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n"
)


class Callbacks:
    """A minimal user of httptools, which keeps the fields."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""

    def on_url(self, url: bytes) -> None:
        """Keep it."""
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self.fields.append((name, value))


def ours(data: bytes) -> Callable[[], object]:
    """Time our reader on a kept connection."""
    if data.startswith(b"HTTP/"):
        responses = ResponseParser()

        def response() -> object:
            responses.expect(b"GET")
            responses.feed(data)
            return responses.next()

        return response
    requests = RequestParser(Limits())

    def request() -> object:
        requests.feed(data)
        return requests.next()

    return request


def with_httptools(data: bytes) -> Callable[[], object]:
    """Time httptools on a kept connection."""
    callbacks = Callbacks()
    kind = httptools.HttpResponseParser if data.startswith(b"HTTP/") else httptools.HttpRequestParser
    parser = kind(callbacks)

    def parse() -> object:
        callbacks.fields = []
        parser.feed_data(data)
        return callbacks.fields

    return parse


def with_h11(data: bytes) -> Callable[[], object]:
    """Time h11 with a new connection each time, as it refuses to restart in mid-exchange."""
    role = h11.CLIENT if data.startswith(b"HTTP/") else h11.SERVER

    def parse() -> object:
        connection = h11.Connection(role)
        if role is h11.CLIENT:
            connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        connection.receive_data(data)
        return connection.next_event()

    return parse


def microseconds(parse: Callable[[], object]) -> float:
    """The best of seven repeats of a few thousand calls."""
    return min(timeit.repeat(parse, number=3_000, repeat=7)) / 3_000 * 1e6


def main() -> None:
    """Print the table."""
    heads = {"browser request": BROWSER, "curl request": CURL, "response": RESPONSE}
    print("| head | ours | httptools | h11 |\n|---|---|---|---|")
    for name, data in heads.items():
        times = [microseconds(way(data)) for way in (ours, with_httptools, with_h11)]
        print(f"| {name} | {' | '.join(f'{time:.1f}' for time in times)} |")


if __name__ == "__main__":
    main()
