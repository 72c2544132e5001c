"""A connection on its way to its first request: what comes before HTTP is read in its order, a balancer's header first,
then the client's hello of TLS, all within the time of a head.

Until its hello is complete it is a socket that is watched, and costs no more than an idle connection. The kernel wakes
us when as many bytes are there as we wait for (SO_RCVLOWAT), so a client that sends them one by one costs nothing
either.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from canaryproxy.dataplane.admission import Admission
from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.eviction import ConnectionSlot
from canaryproxy.dataplane.tls import SniContexts
from canaryproxy.http.proxy_protocol import ProxyHeaderError, header_bytes_needed, parse

HANDSHAKE = 22
CLIENT_HELLO = 1
RECORD_HEADER = 5
MESSAGE_HEADER = 4
MAX_RECORD_BYTES = 2**14 + 256
MAX_HELLO_BYTES = 2**15
"""Bytes of a hello with its records; browsers send some two thousand."""

ESTABLISHED = 1
"""The state of a TCP connection whose other end may send more (tcp_states.h)."""

PAUSE_SECONDS = 0.5
"""Seconds until another look at one of whom fewer bytes are there than we were woken for."""

MIN_WAIT_SECONDS = 0.1
"""Seconds that a handshake has at least."""

LINE = 60.0
"""Seconds to wait for a handshake's turn."""


class PendingConnection:
    """`address` is the peer's, later the client's that a trusted proxy names. `place` is the one it has taken.
    `deadline`: when it has had its time.
    """

    __slots__ = (
        "_closed",
        "_expected",
        "_handshake",
        "_header",
        "_left",
        "_loop",
        "_plane",
        "_reading",
        "_since",
        "_sni_contexts",
        "_sock",
        "_task",
        "address",
        "client_group",
        "deadline",
        "place",
    )

    def __init__(
        self,
        plane: Admission,
        sock: socket.socket,
        address: str,
        sni_contexts: SniContexts | None,
        closed: Callable[["PendingConnection"], None],
    ) -> None:
        self.address = address
        self.client_group = plane.client_prefix(address)
        self.deadline = plane.clock.deadline_in(plane.settings.timeouts.header)
        self.place: ConnectionSlot | None = None
        self._plane = plane
        self._loop = plane.clock.loop
        self._sni_contexts = sni_contexts
        self._closed = closed
        self._sock = sock
        self._since = plane.clock.now()
        self._header: bytes | None = None
        self._expected = 1
        self._left = 0.0
        self._handshake: ConnectionSlot | None = None
        self._reading = False
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<PendingConnection from {self.address}>"

    def idle_since(self) -> float:
        """It gives way like any client that owes us its first request."""
        return self._since

    def owing(self) -> bool:
        """It owes us all."""
        return True

    def evict(self) -> None:
        """Close it now."""
        self.close()

    def start(self, *, trusted: bool, proxy_protocol: bool) -> None:
        """Take a slot and wait for the first bytes: a PROXY header if the peer sends one, else a TLS hello."""
        self.place = self._plane.take_slot(self, self.address, trusted)
        if proxy_protocol:
            self._header = b""
        if self._header is None and self._sni_contexts is None:
            self._serve()
        else:
            self._watch()

    def _watch(self) -> None:
        self._reading = True
        self._loop.add_reader(self._sock, self._readable)

    def _unwatch(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    def _readable(self) -> None:
        """More has come, or the end. One that says nothing sensible is closed without a word."""
        try:
            if self._header is not None:
                self._read_header(self._header)
            else:
                self._look()
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ProxyHeaderError):
            self.close()

    def _read_header(self, data: bytes) -> None:
        """No byte more than the header has is taken."""
        more = self._sock.recv(header_bytes_needed(data))
        if not more:
            raise ProxyHeaderError("the connection ended within the header")
        self._header = data + more
        proxy_protocol = parse(self._header)
        if proxy_protocol is None:
            return
        self._header = None
        if proxy_protocol.address is not None and not self._rename(proxy_protocol.address):
            self.close()
        elif self._sni_contexts is None:
            self._unwatch()
            self._serve()

    def _rename(self, address: str) -> bool:
        """Count this connection for the client that a trusted proxy has named; False where that has too many."""
        plane = self._plane
        if plane.too_many(address):
            return False
        if self.place is not None:
            plane.release_slot(self.place)
        self.address, self.client_group = address, plane.client_prefix(address)
        self.place = plane.take_slot(self, address, plane.trusts(address))
        return True

    def _look(self) -> None:
        """Whether the hello is there. Where the system is short of memory we are woken early, and look again later."""
        data = self._sock.recv(MAX_HELLO_BYTES, socket.MSG_PEEK)
        missing = bytes_needed(data)
        if missing <= len(data):
            self._unwatch()
            self._expect(1)
            self._stand_in_line()
        elif self._woken_early(len(data)):
            self._unwatch()
            self._loop.call_later(PAUSE_SECONDS, self._again)
        else:
            self._expect(missing)

    def _stand_in_line(self) -> None:
        """Its clock does not run meanwhile: it owes us nothing."""
        plane = self._plane
        self._left, self.deadline = self.deadline - plane.clock.now(), plane.clock.deadline_in(LINE)
        plane.handshakes.request(self)

    def _again(self) -> None:
        if self.place is not None:
            self._watch()

    def _woken_early(self, size: int) -> bool:
        """Whether fewer bytes are there than we wait for. Raises `ProxyHeaderError` where no more will come."""
        if size >= self._expected:
            return False
        if not self._connected():
            raise ProxyHeaderError("the connection ended within the hello")
        return True

    def _connected(self) -> bool:
        """Whether the client may send more."""
        return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED

    def _expect(self, size: int) -> None:
        """Be woken when so many bytes are there."""
        if size != self._expected:
            self._expected = size
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    # TLS and HTTP.

    def begin(self) -> bool:
        """Its turn for a handshake has come. Whether it is still there: who has waited for long may have given up."""
        if self.place is None:
            return False
        if not self._connected():
            self.close()
            return False
        self._since = self._plane.clock.now()
        self.deadline = self._since + max(self._left, MIN_WAIT_SECONDS)
        self._handshake = self._plane.handshakes.enter(self)
        self._serve()
        return True

    def _serve(self) -> None:
        self._task = self._loop.create_task(self._hand_over())
        self._task.add_done_callback(self._handed_over)

    async def _hand_over(self) -> None:
        plane, sni_contexts = self._plane, self._sni_contexts
        scheme = b"http" if sni_contexts is None else b"https"
        context = None if sni_contexts is None else sni_contexts.context
        patience = max(self.deadline - plane.clock.now(), MIN_WAIT_SECONDS)
        with contextlib.suppress(OSError):
            await plane.pools.sockets.serve(
                self._sock, lambda: ClientConnection(plane, self.address, scheme, self.place), context, patience
            )

    def _handed_over(self, _: asyncio.Task[None]) -> None:
        """It is served, or came to nothing."""
        self._task = None
        self.close()

    def close(self) -> None:
        """Give it up. The connection that serves it now has its slot and its socket."""
        plane, place = self._plane, self.place
        self._unwatch()
        self._closed(self)
        plane.handshakes.withdraw(self)
        if self._handshake is not None:
            plane.handshakes.leave(self._handshake)
            self._handshake = None
        if self._task is not None:
            self._task.cancel()
        if place is not None and place.owner is self:
            self.place = None
            plane.release_slot(place)
            if self._task is None:
                self._sock.close()


def bytes_needed(data: bytes) -> int:
    """Bytes that have to be there, from the first one on, before more can be said of these; 0 where the hello is
    complete, or is none: then the TLS library says what is wrong with it.
    """
    size, taken, position = 0, 0, 0
    head = b""
    while True:
        record = data[position : position + RECORD_HEADER]
        if record and record[0] != HANDSHAKE:
            return 0
        if len(record) < RECORD_HEADER:
            return position + RECORD_HEADER
        length = int.from_bytes(record[3:])
        if not 0 < length <= MAX_RECORD_BYTES:
            return 0
        position += RECORD_HEADER
        if len(head) < MESSAGE_HEADER:
            head += data[position : position + min(length, MESSAGE_HEADER - len(head))]
            if head and head[0] != CLIENT_HELLO:
                return 0
        taken += length
        position += length
        if position > len(data):
            return position
        if len(head) == MESSAGE_HEADER:
            size = MESSAGE_HEADER + int.from_bytes(head[1:])
            if taken >= size or position + size - taken > MAX_HELLO_BYTES:
                return 0
