"""Who hears and who sends. What connections make of it: test_epoll_transports.py, test_upstream.py,
test_client_h1.py.
"""

import socket
import struct

import pytest

from canaryproxy.dataplane.client_stream import ClientStream
from canaryproxy.dataplane.transports import FastProtocol, FastTransport, disconnected, reset
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from tests.support.simulation import ALIKE, Hearer, Simulation, on


class Wire:
    """A transport of another library."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Own(Wire, FastTransport):
    """A transport of our own."""


class Hearing(FastProtocol):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)


class Both(Hearer, FastProtocol):
    """Is attached to what it hears from."""


EACH = pytest.mark.parametrize("kind", [Wire, Own])


@EACH
def test_what_is_sent_goes_to_the_transport_in_order(kind: type[Wire]) -> None:
    receiver, wire = FastProtocol(), kind()
    receiver.attach(wire)  # type: ignore[arg-type]
    receiver.send(b"one")
    receiver.send(b"two")
    assert receiver.transport is wire  # type: ignore[comparison-overlap]
    assert wire.written == [b"one", b"two"]


@pytest.mark.parametrize("first", [Wire, Own])
@EACH
def test_what_is_sent_goes_to_the_last_transport_alone(first: type[Wire], kind: type[Wire]) -> None:
    receiver, old, new = FastProtocol(), first(), kind()
    for wire in (old, new):
        receiver.attach(wire)  # type: ignore[arg-type]
        receiver.send(b"to it")
    assert (old.written, new.written) == ([b"to it"], [b"to it"])


def test_nothing_can_be_sent_before_there_is_a_transport() -> None:
    with pytest.raises(AttributeError):
        FastProtocol().send(b"one")


def test_both_ends_are_to_say_what_they_do() -> None:
    with pytest.raises(NotImplementedError):
        FastProtocol().data_received(b"one")
    with pytest.raises(NotImplementedError):
        FastTransport().write(b"one")


def test_the_ends_of_an_exchange_are_receivers() -> None:
    assert issubclass(ClientStream, FastProtocol)
    assert issubclass(UpstreamConnection, FastProtocol)


@on(ALIKE)
async def test_a_receiver_hears_and_sends_no_matter_who_moves_the_bytes(lab: Simulation) -> None:
    receiver = Both()
    transport, _, far = await lab.open(receiver)
    receiver.attach(transport)
    assert isinstance(transport, FastTransport) == lab.direct
    receiver.send(b"hello")
    assert await lab.read(far, 5) == b"hello"
    await lab.send(far, b"you too")
    assert await receiver.has(7) == b"you too"


@on(ALIKE)
async def test_receivers_and_others_take_turns_at_one_connection(lab: Simulation) -> None:
    transport, first, far = await lab.open()
    hearers = [first, Both(), Hearer(), Both()]
    for number, protocol in enumerate(hearers):
        if protocol is not first:
            protocol.connection_made(transport)
            transport.set_protocol(protocol)
        await lab.send(far, b"%d" % number)
        assert await protocol.has(1) == b"%d" % number
    assert [bytes(protocol.data) for protocol in hearers] == [b"0", b"1", b"2", b"3"]
    far.close()
    await hearers[-1].gone.wait()
    first.gone.set()


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), ValueError("negative file descriptor")])
def test_what_has_no_socket_any_more_can_be_reset(error: Exception) -> None:
    """A transport of ours says the first, one of uvloop the second."""
    aborted = 0

    class Gone:
        def setsockopt(self, *_: object) -> None:
            raise error

        def get_extra_info(self, name: str) -> "Gone":
            assert name == "socket"
            return self

        def abort(self) -> None:
            nonlocal aborted
            aborted += 1

    reset(Gone())  # type: ignore[arg-type]
    assert aborted == 1


class Held:
    """A transport that only has a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def get_extra_info(self, _: str) -> socket.socket:
        """The socket."""
        return self._sock


def test_only_peers_that_reset_have_vanished() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
        held = [Held(server.accept()[0]) for _ in clients]
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[0].close()
        clients[1].shutdown(socket.SHUT_WR)
        assert disconnected(held) == [held[0]]  # type: ignore[arg-type,comparison-overlap]
        assert disconnected([]) == []
        for sock in (*clients[1:], *(one.get_extra_info("") for one in held)):
            sock.close()
