"""Connections read and written directly, beside the loops' own transports: what both promise, both keep."""

import asyncio
import contextlib
import socket
import time

from tests.support.simulation import ALIKE, DIRECT, MIB, PATTERN, TIGHT, Hearer, Simulation, at_once, fill, on

STRANGERS = 200


@on(DIRECT)
async def test_strangers_that_send_much_keep_those_who_are_known_waiting_for_one_short_turn(lab: Simulation) -> None:
    """The attack: newcomers whose bytes are dear to read, all at once."""

    class Dear(Hearer):
        def on_data(self, data: bytes) -> None:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass

    strangers = [await lab.open(Dear()) for _ in range(STRANGERS)]
    known, protocol, far_of_known = await lab.open()
    known.prefer()  # type: ignore[attr-defined]
    known.prefer()  # type: ignore[attr-defined]
    for _, _, far in strangers:
        far.send(b"x")
    far_of_known.send(b"y")
    await protocol.has(1)
    assert sum(bool(dear.data) for _, dear, _ in strangers) < STRANGERS // 4
    for _, dear, _ in strangers:
        await dear.has(1)


@on(DIRECT)
async def test_those_who_are_known_are_served_between_two_strangers(lab: Simulation) -> None:
    """Not only once in a turn of the loop: what a known one gets while strangers are read is answered at once."""
    known, protocol, far_of_known = await lab.open()
    known.prefer()  # type: ignore[attr-defined]
    heard: list[int] = []

    class Stranger(Hearer):
        def on_data(self, data: bytes) -> None:
            known.write(b"a small piece")
            far_of_known.send(b"y")
            heard.append(len(protocol.data))

    strangers = [await lab.open(Stranger()) for _ in range(8)]
    for _, _, far in strangers:
        far.send(b"x")
    for _, stranger, _ in strangers:
        await stranger.has(1)
    await protocol.has(8)
    assert heard == list(range(8))
    assert await lab.read(far_of_known, 8 * 13) == b"a small piece" * 8


@on(DIRECT)
async def test_one_that_is_preferred_while_it_waits_to_write_loses_nothing(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.prefer()  # type: ignore[attr-defined]
    assert await lab.read(far, len(PATTERN)) == PATTERN
    far.send(b"back")
    assert await protocol.has(4) == b"back"
    far.close()
    await protocol.gone.wait()


# Writing.


@on(ALIKE)
async def test_what_is_written_arrives_in_order(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    transport.write(b"a")
    transport.write(b"")
    transport.writelines([b"b", b"", b"cd"])
    transport.write(bytearray(b"e"))
    transport.write(memoryview(b"fgh")[1:])
    assert await lab.read(far, 7) == b"abcdegh"
    assert transport.get_write_buffer_size() == 0
    assert protocol.notified == ["made"]


@on(ALIKE)
async def test_what_the_kernel_does_not_take_waits_and_is_not_lost(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.writelines([b"more", PATTERN[:100_000]])
    transport.write(b"end")
    await protocol.is_notified("pause")
    whole = PATTERN + b"more" + PATTERN[:100_000] + b"end"
    assert await lab.read(far, len(whole)) == whole
    await protocol.is_notified("resume")
    assert protocol.notified == ["made", "pause", "resume"]
    assert transport.get_write_buffer_size() == 0


@on(ALIKE)
async def test_thousands_of_small_pieces_that_wait_arrive_in_their_order(lab: Simulation) -> None:
    transport, _, far = await lab.open(buffers=TIGHT)
    pieces = [PATTERN, *[b"%x\r\n" % number * (number % 4 + 1) for number in range(20_000)], PATTERN, b"end"]
    for piece in pieces:
        transport.write(piece)
    whole = b"".join(pieces)
    assert await lab.read(far, len(whole)) == whole
    assert transport.get_write_buffer_size() == 0


@on(DIRECT)
async def test_thousands_of_small_pieces_that_wait_do_not_take_a_system_call_each(lab: Simulation) -> None:
    """The attack: chunks of one byte towards an endpoint that does not read, and then does: 20,000 calls in one
    turn.
    """
    count, piece = 20_000, b"1\r\nx\r\n"
    transport, _, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    for _ in range(count):
        transport.write(piece)
    near = transport.get_extra_info("socket")
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
    begun = time.process_time()
    await lab.read(far, len(PATTERN) + count * len(piece))
    together = time.process_time() - begun
    one, other = lab.wire()
    lab.bare += [one, other]
    begun = time.process_time()
    for number in range(count):
        one.send(piece)
        if number % 1_000 == 0:
            other.recv(2**18)
    assert together < time.process_time() - begun


@on(ALIKE)
async def test_the_writer_is_asked_to_wait_above_the_limit_and_no_longer_at_a_quarter_of_it(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    # Without a pause from here to the last write: on a busy machine the kernel may still be moving bytes.
    limit = transport.get_write_buffer_size() + 1_000
    transport.set_write_buffer_limits(limit)
    transport.write(b"x" * 1_000)
    assert transport.get_write_buffer_size() == limit
    assert protocol.notified == ["made"]
    transport.write(b"y")
    await protocol.is_notified("pause")
    transport.write(b"z")
    taken = 0
    while "resume" not in protocol.notified:
        left = transport.get_write_buffer_size()
        taken += len(await lab.read(far, 20_000))
        await asyncio.sleep(0)
    assert left <= limit
    assert transport.get_write_buffer_size() <= limit // 4
    assert protocol.notified == ["made", "pause", "resume"]
    rest = await lab.read(far, len(PATTERN) + 1_002 - taken)
    assert rest.endswith(b"xyz")


@on(DIRECT)
async def test_what_waits_is_a_copy(lab: Simulation) -> None:
    transport, _, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    room = bytearray(b"before")
    transport.write(room)
    room[:] = b"behind"
    assert (await lab.read(far, len(PATTERN) + 6)).endswith(b"before")


# Reading.


@on(ALIKE)
async def test_nothing_is_heard_while_reading_pauses(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    await lab.send(far, b"one")
    await protocol.has(3)
    transport.pause_reading()
    sending = asyncio.ensure_future(lab.send(far, PATTERN))
    await asyncio.sleep(0.05)
    assert protocol.data == b"one"
    transport.resume_reading()
    assert await protocol.has(3 + len(PATTERN)) == b"one" + PATTERN
    await sending


@on(ALIKE)
async def test_a_pause_holds_from_within_what_is_heard(lab: Simulation) -> None:
    class Shy(Hearer):
        def on_data(self, data: bytes) -> None:
            self.transport.pause_reading()

    transport, protocol, far = await lab.open(Shy())
    await lab.send(far, b"one")
    await protocol.has(3)
    await lab.send(far, b"two")
    await asyncio.sleep(0.02)
    assert protocol.data == b"one"
    transport.resume_reading()
    await protocol.has(6)


@on(ALIKE)
async def test_another_hearer_hears_what_comes_later(lab: Simulation) -> None:
    transport, first, far = await lab.open()
    await lab.send(far, b"one")
    await first.has(3)
    second = Hearer()
    second.connection_made(transport)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    await lab.send(far, b"two")
    assert await second.has(3) == b"two"
    assert first.data == b"one"
    far.close()
    await second.gone.wait()
    assert first.notified == ["made", "data"]
    first.gone.set()


# Half-closing.


@on(ALIKE)
async def test_a_peer_that_sends_no_more_may_still_be_written_to(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(Hearer(stay=True))
    await lab.send(far, b"all")
    far.shutdown(socket.SHUT_WR)
    await protocol.is_notified("eof")
    assert not transport.is_closing()
    transport.write(PATTERN)
    assert await lab.read(far, len(PATTERN)) == PATTERN
    transport.close()
    assert await lab.read(far) == b""
    await protocol.gone.wait()
    assert [data for data in protocol.notified if data not in ("pause", "resume")] == ["made", "data", "eof", "lost"]
    assert protocol.error is None


@on(ALIKE)
async def test_a_connection_no_one_wants_to_keep_half_open_closes(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    far.shutdown(socket.SHUT_WR)
    await protocol.gone.wait()
    assert protocol.notified == ["made", "eof", "lost"]
    assert protocol.error is None
    assert transport.is_closing()
    assert await lab.read(far) == b""


@on(ALIKE)
async def test_our_own_end_comes_behind_what_waits_and_we_still_listen(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    assert transport.can_write_eof()
    transport.write(PATTERN)
    transport.write_eof()
    assert await lab.read(far) == PATTERN
    await lab.send(far, b"answer")
    await protocol.has(6)
    assert not transport.is_closing()
    far.close()
    await protocol.gone.wait()
    assert protocol.notified[-2:] == ["eof", "lost"]
    assert protocol.error is None


@on(ALIKE)
async def test_our_own_end_comes_at_once_where_nothing_waits(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(Hearer(stay=True))
    transport.write_eof()
    assert await lab.read(far) == b""
    far.shutdown(socket.SHUT_WR)
    await protocol.is_notified("eof")
    await asyncio.sleep(0.01)
    assert protocol.notified == ["made", "eof"]
    transport.close()
    await protocol.gone.wait()


# The end.


@on(ALIKE)
async def test_closing_sends_what_waits_first(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.close()
    assert transport.is_closing()
    await asyncio.sleep(0.01)
    assert "lost" not in protocol.notified
    assert await lab.read(far) == PATTERN
    await protocol.gone.wait()
    assert protocol.error is None


@on(ALIKE)
async def test_what_arrives_after_closing_is_not_heard(lab: Simulation) -> None:
    """The kernel answers it with a reset (RFC 9293, 3.6.1), so the far end may lose what it has not read."""
    transport, protocol, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.close()
    await lab.send(far, b"ignored")
    with contextlib.suppress(ConnectionResetError):
        while await lab.loop.sock_recv(far, MIB):
            continue
    await protocol.gone.wait()
    assert protocol.error is None
    assert not protocol.data


@on(ALIKE)
async def test_aborting_discards_what_waits(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    transport.abort()
    assert transport.is_closing()
    await protocol.gone.wait()
    assert protocol.error is None
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := await lab.loop.sock_recv(far, MIB):
            got += piece
    assert len(got) < len(PATTERN)


@on(ALIKE)
async def test_the_end_is_reported_once_and_never_within_another_call(lab: Simulation) -> None:
    class Rash(Hearer):
        def on_data(self, data: bytes) -> None:
            getattr(self.transport, data.decode())()
            self.transport.abort()
            self.transport.close()

    for how in (b"close", b"abort"):
        transport, protocol, far = await lab.open(Rash())
        await lab.send(far, how)
        await protocol.gone.wait()
        assert protocol.notified == ["made", "data", "lost"]
    transport, protocol, far = await lab.open()
    with protocol.call():
        transport.write(b"bye")
        transport.close()
        transport.abort()
    assert "lost" not in protocol.notified
    await protocol.gone.wait()
    await asyncio.sleep(0.01)
    assert protocol.notified == ["made", "lost"]


@on(DIRECT)
async def test_a_connection_that_is_gone_takes_no_harm(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    assert not transport.is_closing()
    transport.close()
    await protocol.gone.wait()
    await asyncio.sleep(0)
    transport.write(b"x")
    transport.writelines([b"x"])
    transport.write_eof()
    transport.pause_reading()
    transport.resume_reading()
    transport.close()
    transport.abort()
    await asyncio.sleep(0.01)
    assert protocol.notified == ["made", "lost"]
    assert transport.is_closing()
    assert transport.get_extra_info("peername", "nobody") == "nobody"
    assert await lab.read(far) == b""


@on(ALIKE)
async def test_who_is_there(lab: Simulation) -> None:
    transport, _, far = await lab.open()
    assert transport.get_extra_info("peername") == far.getsockname()
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("no such thing", 7) == 7


# Written while others have news.


class Answering(Hearer):
    """Answers at once, and may do more."""

    def on_data(self, data: bytes) -> None:
        self.transport.write(b"<" + data)
        self.more()
        self.transport.write(b">")

    def more(self) -> None:
        """For others to say."""


class Asking(Answering):
    """Asks in between how much waits."""

    def more(self) -> None:
        self.notified.append(str(self.transport.get_write_buffer_size()))


class Ending(Hearer):
    """Says its last."""

    def on_data(self, data: bytes) -> None:
        self.transport.write(b"<" + data)
        self.transport.write_eof()


class Closing(Answering):
    """Closes in between."""

    def more(self) -> None:
        self.transport.close()


class Aborting(Answering):
    """Has nothing sent."""

    def more(self) -> None:
        self.transport.abort()


class Long(Answering):
    """Has much to say."""

    def more(self) -> None:
        self.transport.write(PATTERN[:100_000])


async def all_at_once(lab: Simulation, hearers: list[Hearer]) -> list[bytes]:
    """Have all of them hear of news in one turn of the loop; what their far ends get, up to the end where there is
    one.
    """
    fars = [(await lab.open(protocol))[2] for protocol in hearers]
    for far in fars:
        far.send(b"hi")
    at_once()
    for protocol in hearers:
        await protocol.is_notified("data")
    await asyncio.sleep(0.02)
    return [
        far.recv(200_000) if not isinstance(protocol, Long) else b""
        for far, protocol in zip(fars, hearers, strict=True)
    ]


@on(ALIKE)
async def test_what_many_write_in_one_turn_arrives_in_order(lab: Simulation) -> None:
    assert await all_at_once(lab, [Answering() for _ in range(20)]) == [b"<hi>"] * 20


@on(ALIKE)
async def test_who_asks_how_much_waits_hears_only_of_what_the_kernel_does_not_take(lab: Simulation) -> None:
    asking = [Asking(), Asking()]
    assert await all_at_once(lab, [*asking]) == [b"<hi>"] * 2
    if lab.direct:
        assert [protocol.notified[-1] for protocol in asking] == ["0", "0"]


@on(ALIKE)
async def test_an_end_or_a_close_comes_behind_what_was_written_before_it(lab: Simulation) -> None:
    ending, closing = Ending(), Closing()
    assert await all_at_once(lab, [ending, closing]) == [b"<hi", b"<hi"]
    await closing.gone.wait()
    assert ending.notified == ["made", "data"]


@on(DIRECT)
async def test_an_abort_takes_back_what_has_not_left_and_nothing_of_others(lab: Simulation) -> None:
    aborting = Aborting()
    fars = [(await lab.open(protocol))[2] for protocol in (aborting, Answering())]
    for far in fars:
        far.send(b"hi")
    at_once()
    await aborting.gone.wait()
    assert await lab.read(fars[1], 4) == b"<hi>"
    assert await lab.read(fars[0]) == b""


@on(ALIKE)
async def test_much_leaves_at_once_and_behind_what_waits(lab: Simulation) -> None:
    talking = [Long(), Long()]
    fars = [(await lab.open(protocol))[2] for protocol in talking]
    for far in fars:
        far.send(b"hi")
    at_once()
    assert [await lab.read(far, 100_004) for far in fars] == [b"<hi" + PATTERN[:100_000] + b">"] * 2


@on(DIRECT)
async def test_a_peer_that_does_not_read_what_was_gathered_makes_its_writer_wait(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(Answering(), buffers=TIGHT)
    await fill(lab, transport)
    _, other, other_far = await lab.open(Answering())
    transport.set_write_buffer_limits(TIGHT)
    far.send(b"hi")
    other_far.send(b"hi")
    at_once()
    assert await lab.read(other_far, 4) == b"<hi>"
    await protocol.is_notified("pause")
    assert await lab.read(far, len(PATTERN) + 4) == PATTERN + b"<hi>"
    await protocol.is_notified("resume")
    assert other.notified == ["made", "data"]
