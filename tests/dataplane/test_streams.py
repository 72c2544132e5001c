"""An exchange between its two seams, without a socket and without a byte of any protocol."""

import pytest

from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import OVER, WAITING, IllegalMoveError
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from tests.support.streams import Endpointed, Stage, stage


def request(method: bytes = b"GET", body: Body = Body.NONE) -> RequestHead:
    head = RequestHead(method, b"/")
    head.host = b"shop.test"
    head.body = body
    return head


def response(status: int = 200, length: int = 2) -> ResponseHead:
    head = ResponseHead(status, b"OK")
    head.body, head.length = Body.LENGTH, length
    return head


def begin(s: Stage, head: RequestHead) -> tuple[Exchange, Endpointed]:
    """An exchange that has begun, and the stream that it chose."""
    exchange = Exchange()
    exchange.prepare(s.client, head)
    exchange.begin()
    (stream,) = s.asked()
    return exchange, stream


def outcomes(s: Stage) -> dict[str, int]:
    return {key: count for cell in s.plane.deltas().cells for key, count in cell.outcomes.items()}


def test_a_request_is_asked_once_and_its_response_handed_on_once() -> None:
    with stage() as s:
        exchange, stream = begin(s, request())
        assert exchange.state == WAITING
        exchange.response_whole(response(), b"ok")
        (asked,) = stream.events
        assert asked[:2] == ("ask", b"GET")
        assert asked[3:] == ([], None)
        assert s.client.events == [("whole", 200, b"", b"ok"), ("complete",)]
        assert exchange.state == OVER
        assert outcomes(s) == {"success": 1}


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
def test_an_empty_piece_of_a_request_is_not_its_end(method: bytes) -> None:
    """HTTP/2 has empty pieces anywhere in a body. Passed on as a chunk, one would be the last."""
    with stage() as s:
        exchange, stream = begin(s, request(method, Body.STREAM))
        for piece in (b"", b"one", b"", b"two", b""):
            exchange.request_data(piece)
        exchange.request_end(())
        assert stream.events[1:] == [("data", b"one"), ("data", b"two"), ("end", ())]
        assert exchange.received == 6


def test_an_empty_piece_does_not_begin_a_body_that_waits_for_a_100() -> None:
    with stage() as s:
        head = request(b"POST", Body.STREAM)
        head.special = [(b"expect", b"100-continue")]
        exchange, _ = begin(s, head)
        exchange.request_data(b"")
        assert not exchange.owed()
        exchange.request_data(b"one")
        assert exchange.owed()


def test_what_was_sent_is_payload_when_it_is_sent_again() -> None:
    with stage(1, 2) as s:
        exchange, first = begin(s, request(b"PUT", Body.STREAM))
        for piece in (b"one", b"two"):
            exchange.request_data(piece)
        exchange.request_end((b"X-Sum: 6",))
        exchange.upstream_failed(Failure.UPSTREAM_RESET, "it broke")
        (second,) = [one for one in s.asked() if one is not first]
        assert first.events[-1] == ("abort",)
        assert second.events == [("ask", b"PUT", first.events[0][2], [b"one", b"two"], (b"X-Sum: 6",))]
        exchange.response_whole(response(), b"ok")
        assert s.client.events[-1] == ("complete",)
        assert outcomes(s) == {"reset": 1}


def test_what_may_not_be_sent_again_is_not_kept() -> None:
    with stage(1, 2) as s:
        exchange, _ = begin(s, request(b"POST", Body.STREAM))
        exchange.request_data(b"one")
        assert exchange.weight() == s.plane.buffers.held == 0
        exchange.upstream_failed(Failure.UPSTREAM_RESET, "it broke")
        assert len(s.asked()) == 1
        assert s.client.events == [("answer", Failure.UPSTREAM_RESET, exchange.request_id_line, True)]


def test_a_response_in_pieces_is_held_back_by_the_clients_stream_until_it_is_flushed() -> None:
    with stage() as s:
        exchange, _ = begin(s, request())
        head = ResponseHead(200, b"OK")
        head.body = Body.STREAM
        assert not exchange.response_head(head)
        exchange.response_data(b"one")
        exchange.flush()
        exchange.response_end((b"X-Sum: 3",))
        events = [("head", 200, b""), ("data", b"one"), ("flush",), ("end", (b"X-Sum: 3",)), ("complete",)]
        assert s.client.events == events
        assert exchange.sent == 3


def test_an_exchange_is_counted_once() -> None:
    with stage() as s:
        exchange, _ = begin(s, request())
        exchange.client_gone()
        with pytest.raises(IllegalMoveError, match="from OVER"):
            exchange.client_gone()
        assert outcomes(s) == {"client_abort": 1}


def test_a_client_that_does_not_read_stops_the_endpoint_and_its_clock() -> None:
    with stage() as s:
        exchange, stream = begin(s, request())
        assert exchange.deadlines.at < float("inf")
        exchange.response_paused()
        exchange.response_paused()
        assert exchange.deadlines.at == float("inf")
        exchange.response_resumed()
        assert exchange.deadlines.at < float("inf")
        assert stream.events[1:] == [("pause",), ("resume",)]


def test_an_endpoint_that_does_not_read_stops_the_client() -> None:
    with stage() as s:
        exchange, stream = begin(s, request(b"POST", Body.STREAM))
        assert exchange.deadlines.at == float("inf")
        stream.blocked = True
        exchange.request_blocked()
        assert ("block",) in s.client.events
        assert exchange.deadlines.at < float("inf")
