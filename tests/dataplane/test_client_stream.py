"""A request's way back. What an HTTP/1 client's connection makes of it: test_response_writer.py, test_client_h1.py."""

from collections.abc import Callable

import pytest

from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.client_stream import ClientStream
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import ResponseHead

ASKED: dict[str, Callable[[ClientStream], object]] = {
    "interim": lambda client: client.interim(ResponseHead(103)),
    "whole": lambda client: client.whole(ResponseHead(200), b"", b""),
    "head": lambda client: client.head(ResponseHead(200), b""),
    "data": lambda client: client.data(b"x"),
    "end": lambda client: client.end(()),
    "flush": lambda client: client.flush(),
    "forget": lambda client: client.forget(),
    "complete": lambda client: client.complete(),
    "answer": lambda client: client.answer(Failure.OVERLOADED, b"", True),
    "block": lambda client: client.block(),
    "unblock": lambda client: client.unblock(),
    "rearm": lambda client: client.rearm(),
    "leave": lambda client: client.leave(),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_stream_is_to_say_what_it_does(what: str) -> None:
    with pytest.raises(NotImplementedError):
        ASKED[what](ClientStream())


def test_a_clients_connection_says_it_all() -> None:
    assert issubclass(ClientConnection, ClientStream)
    for what in ASKED:
        assert getattr(ClientConnection, what) is not getattr(ClientStream, what)
