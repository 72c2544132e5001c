"""Seeing resets without reading."""

import socket
import struct

from canaryproxy.dataplane.reset_detection import disconnected


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
