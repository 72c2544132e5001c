"""Body decoders: what the readers' tests do not reach."""

from canaryproxy.http1.body import END, ChunkedBody, End, Inbox, LengthBody, UntilClose
from canaryproxy.model.failure import Failure


def test_an_inbox_keeps_what_was_not_consumed_in_front_of_what_comes() -> None:
    inbox = Inbox()
    inbox.feed(b"abc")
    inbox.position = 1
    inbox.feed(b"de")
    assert len(inbox) == 4
    assert inbox.take_all() == b"bcde"
    assert len(inbox) == 0


def test_an_inbox_holds_nothing_that_is_done_with() -> None:
    inbox = Inbox()
    inbox.feed(b"abc")
    inbox.consume(2)
    assert (inbox.data, inbox.position) == (b"abc", 2)
    inbox.consume(3)
    assert (inbox.data, inbox.position) == (b"", 0)


def test_a_length_body_leaves_what_belongs_to_the_next_message() -> None:
    body, inbox = LengthBody(), Inbox()
    body.remaining = 3
    inbox.feed(b"abcNEXT")
    assert body.next(inbox) == b"abc"
    assert body.next(inbox) is END
    assert inbox.take_all() == b"NEXT"


def test_a_body_until_close_yields_what_is_there() -> None:
    inbox = Inbox()
    assert UntilClose().next(inbox) is None
    inbox.feed(b"x")
    assert UntilClose().next(inbox) == b"x"


def test_many_small_chunks_come_out_as_one_piece() -> None:
    body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), Inbox()
    inbox.feed(b"1\r\na\r\n" * 3 + b"0\r\n\r\n")
    assert body.next(inbox) == b"aaa"
    assert body.next(inbox) == END


def test_ends_are_compared_by_their_trailers() -> None:
    assert End((b"X: y",)) == End((b"X: y",))
    assert End((b"X: y",)) != END
    assert len({End(), END}) == 1
    assert "X: y" in repr(End((b"X: y",)))
