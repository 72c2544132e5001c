"""Whether a client reads: what is made of what TCP says, and what TCP does say."""

import asyncio
import socket
import time

import pytest

from canaryproxy.admin.receive_window import (
    MIN_PIECE_BYTES,
    STALLED_CHECKS,
    ReceiveWindow,
    WindowSample,
    connected_for,
    cut,
    piece,
    read_window,
    unacknowledged,
)
from tests.support.admin import until
from tests.support.cluster import run

WIDE = 65536


def looks(*seen: WindowSample) -> list[bool]:
    reading = ReceiveWindow()
    return [reading.update(one) for one in seen]


def window(size: int | None, queued: int = 0) -> WindowSample:
    return WindowSample(size, 128, queued)


def test_a_window_that_narrows_at_every_look_is_a_client_that_does_not_read() -> None:
    found = looks(*(window(WIDE - number * MIN_PIECE_BYTES) for number in range(6)))
    assert found == [True, True, True, False, False, False]


def test_a_window_that_is_as_wide_as_ever_is_one_that_reads() -> None:
    assert all(looks(*[window(WIDE)] * 20))


def test_a_window_that_opens_again_is_one_that_reads_slowly() -> None:
    sizes = [WIDE, WIDE - MIN_PIECE_BYTES, WIDE - 2 * MIN_PIECE_BYTES, WIDE - MIN_PIECE_BYTES] * 5
    assert all(looks(*map(window, sizes)))


def test_a_window_that_narrows_a_little_says_nothing_yet() -> None:
    assert all(looks(*(window(WIDE - number) for number in range(20))))


def test_what_is_never_acknowledged_is_not_read_either() -> None:
    assert looks(*[window(None, 100)] * 5) == [True, True, True, False, False]
    assert all(looks(*[window(None)] * 20)), "an old kernel says no window"


def test_a_slow_line_is_no_client_that_does_not_read() -> None:
    assert all(looks(*(WindowSample(WIDE, 128, 30_000, number * 1000) for number in range(20))))


def test_a_client_seems_not_to_read_one_look_before_it_is_sure() -> None:
    reading = ReceiveWindow()
    assert not reading.lags
    for _ in range(STALLED_CHECKS):
        assert reading.update(window(WIDE, 1))
    assert reading.lags
    assert reading.look(window(WIDE))
    assert not reading.lags


def test_pieces_are_large_enough_to_show_in_the_unit_of_the_window() -> None:
    assert piece(WindowSample(WIDE, 128, 0)) == MIN_PIECE_BYTES
    assert piece(WindowSample(WIDE, 16384, 0)) == 32768


@pytest.mark.parametrize("reads", [True, False])
def test_a_real_client_is_found_out_by_its_window(reads: bool) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        ours, _ = listening.accept()
        with ours:
            reading, alive = ReceiveWindow(), True
            for _ in range(40):
                seen = read_window(ours.fileno())
                alive = alive and reading.update(seen)
                ours.sendall(b" " * piece(seen))
                if reads:
                    client.recv(piece(seen), socket.MSG_WAITALL)
                    client.sendall(b".")  # what it acknowledges has its new window
                    ours.recv(1)
            assert alive is reads
        assert ours.fileno() == -1, "a look leaves the socket as it was"


@pytest.mark.parametrize("taken", [True, False])
def test_a_cut_connection_leaves_nothing_with_the_kernel_and_what_was_taken_ends_in_order(taken: bool) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listening.getsockname())
            ours, _ = listening.accept()
            ours.setblocking(False)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
            file = ours.fileno()
            transport.write(b"x" if taken else b"x" * 100_000)
            await until(lambda: (unacknowledged(file) == 0) is taken)
            cut(transport)
            await asyncio.sleep(0.01)
            if taken:
                assert (client.recv(10), client.recv(10)) == (b"x", b"")
            else:
                with pytest.raises(ConnectionResetError):
                    all(iter(lambda: client.recv(100_000), b""))

    run(test())


def test_what_has_ended_already_can_be_cut() -> None:
    """A transport of uvloop that is closed has a socket whose number is -1, which is a `ValueError` for what asks
    it.
    """

    async def test() -> None:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.transport.abort()
            await until(lambda: writer.transport.get_extra_info("socket").fileno() == -1)
            cut(writer.transport)

    run(test())


def test_how_long_ago_a_silent_client_connected_is_known() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as client, listening.accept()[0] as accepted:
            assert connected_for(accepted) < 5.0
            until = time.monotonic() + 10.0
            while connected_for(accepted) < 0.02 and time.monotonic() < until:
                time.sleep(0.01)
            assert 0.02 <= connected_for(accepted) < 10.0
            assert client.fileno() >= 0


def test_where_the_system_does_not_say_it_none_has_waited() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert connected_for(one) == 0.0
