"""A request's way on. What an HTTP/1 connection makes of it: test_upstream.py."""

from collections.abc import Callable

import pytest

from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.mirror import MirrorCopy
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead, ResponseHead

LINES = (b"host", b"", b"", b"")
ASKED: dict[str, Callable[[UpstreamStream], object]] = {
    "ask": lambda stream: stream.ask(ResponseHandler(), RequestHead(), LINES, None, None),
    "data": lambda stream: stream.data(b"x"),
    "end": lambda stream: stream.end(()),
    "pause": lambda stream: stream.pause(),
    "resume": lambda stream: stream.resume(),
    "queued": lambda stream: stream.queued(),
    "clean": lambda stream: stream.clean(),
    "surplus": lambda stream: stream.surplus(),
    "abort": lambda stream: stream.abort(),
    "leave": lambda stream: stream.leave(),
    "weight": lambda stream: stream.weight(),
}
HEARD: dict[str, Callable[[ResponseHandler], object]] = {
    "connected": lambda handler: handler.connected(UpstreamStream()),
    "connect_failed": lambda handler: handler.connect_failed(Failure.CONNECT_REFUSED),
    "response_whole": lambda handler: handler.response_whole(ResponseHead(200), b""),
    "response_head": lambda handler: handler.response_head(ResponseHead(200)),
    "response_data": lambda handler: handler.response_data(b"x"),
    "response_end": lambda handler: handler.response_end(()),
    "flush": lambda handler: handler.flush(),
    "upstream_failed": lambda handler: handler.upstream_failed(Failure.UPSTREAM_RESET),
    "request_blocked": lambda handler: handler.request_blocked(),
    "request_unblocked": lambda handler: handler.request_unblocked(),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_stream_is_to_say_what_it_does(what: str) -> None:
    with pytest.raises(NotImplementedError):
        ASKED[what](UpstreamStream())


@pytest.mark.parametrize("what", HEARD)
def test_a_handler_is_to_say_what_it_makes_of_a_response(what: str) -> None:
    with pytest.raises(NotImplementedError):
        HEARD[what](ResponseHandler())


def test_an_http_1_connection_and_those_that_ask_say_it_all() -> None:
    for what in ASKED:
        assert getattr(UpstreamConnection, what) is not getattr(UpstreamStream, what)
    for kind in (Exchange, MirrorCopy):
        for what in HEARD:
            assert getattr(kind, what) is not getattr(ResponseHandler, what)
