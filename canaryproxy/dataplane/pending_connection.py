"""A connection before its first request: the PROXY header is read first, then the TLS ClientHello, all within the
header timeout.

Until its hello is complete it is a watched socket that costs no more than an idle connection. The kernel wakes us when
enough bytes have arrived (SO_RCVLOWAT), so a client that sends them one by one costs nothing either. A handshake costs
tens of kilobytes and a signature, which are spent only on clients whose whole hello is there.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from canaryproxy.dataplane.admission import Admission, counted_prefix
from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.eviction import ConnectionSlot
from canaryproxy.dataplane.tls import SniContexts
from canaryproxy.http.proxy_protocol import ProxyHeaderError, header_bytes_needed, parse

HANDSHAKE = 22
CLIENT_HELLO = 1
RECORD_HEADER = 5
MESSAGE_HEADER = 4
MAX_RECORD_BYTES = 2**14 + 256
# Bytes of a hello with its records; browsers send about two thousand.
MAX_HELLO_BYTES = 2**15

# State of a TCP connection whose peer may send more (tcp_states.h).
ESTABLISHED = 1

# Seconds until the next check after the kernel woke us with fewer bytes than SO_RCVLOWAT.
PAUSE_SECONDS = 0.5

# Seconds that a handshake has at least.
MIN_WAIT_SECONDS = 0.1

# Seconds to wait for a handshake's turn.
QUEUE_SECONDS = 60.0


class PendingConnection:
    """`address` is the peer's, later the client's as named by a trusted proxy. `slot` is the slot that the connection
    holds; `deadline`: when it is closed.
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
        "slot",
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
        self.client_group = counted_prefix(address)
        self.deadline = plane.clock.deadline_in(plane.settings.timeouts.header)
        self.slot: ConnectionSlot | None = None
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
        """Since when the connection is idle: it may be evicted like any client that owes its first request."""
        return self._since

    def owing(self) -> bool:
        """Whether it owes a request: always."""
        return True

    def start(self, *, trusted: bool, proxy_protocol: bool) -> None:
        """Take a slot and wait for the first bytes: a PROXY header if the peer sends one, else a TLS hello."""
        self.slot = self._plane.take_slot(self, self.address, trusted)
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
        """More bytes, or the end. A malformed connection is closed without a response."""
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
        """Read the PROXY header, and no byte beyond it."""
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
        if self.slot is not None:
            plane.release_slot(self.slot)
        self.address, self.client_group = address, counted_prefix(address)
        self.slot = plane.take_slot(self, address, plane.trusts(address))
        return True

    def _look(self) -> None:
        """Check whether the hello is complete, again later if the kernel, short of memory, woke us early."""
        # Peek only: the TLS library has to read the hello itself.
        data = self._sock.recv(MAX_HELLO_BYTES, socket.MSG_PEEK)
        missing = bytes_needed(data)
        if missing <= len(data):
            self._unwatch()
            self._expect(1)
            # While it waits for its turn its deadline does not run: the delay is ours, not the client's.
            clock = self._plane.clock
            self._left, self.deadline = self.deadline - clock.now(), clock.deadline_in(QUEUE_SECONDS)
            self._plane.handshakes.request(self)
        elif self._woken_early(len(data)):
            self._unwatch()
            self._loop.call_later(PAUSE_SECONDS, self._again)
        else:
            self._expect(missing)

    def _again(self) -> None:
        if self.slot is not None:
            self._watch()

    def _woken_early(self, size: int) -> bool:
        """Whether fewer bytes are there than expected. Raises `ProxyHeaderError` if no more will come."""
        if size >= self._expected:
            return False
        if not self._connected():
            raise ProxyHeaderError("the connection ended within the hello")
        return True

    def _connected(self) -> bool:
        """Whether the client may send more."""
        return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED

    def _expect(self, size: int) -> None:
        """Be woken when `size` bytes have arrived."""
        if size != self._expected:
            self._expected = size
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    # TLS and HTTP.

    def begin(self) -> bool:
        """Begin the handshake. Returns False if the client has given up while it waited for its turn."""
        if self.slot is None:
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
                self._sock, lambda: ClientConnection(plane, self.address, scheme, self.slot), context, patience
            )

    def _handed_over(self, _: asyncio.Task[None]) -> None:
        """The connection is served by its protocol, or the handshake failed."""
        self._task = None
        self.close()

    def close(self) -> None:
        """Close, unless a `ClientConnection` has taken over the slot and the socket."""
        plane, slot = self._plane, self.slot
        self._unwatch()
        self._closed(self)
        plane.handshakes.withdraw(self)
        if self._handshake is not None:
            plane.handshakes.leave(self._handshake)
            self._handshake = None
        if self._task is not None:
            self._task.cancel()
        if slot is not None and slot.owner is self:
            self.slot = None
            plane.release_slot(slot)
            if self._task is None:
                self._sock.close()

    evict = close


def bytes_needed(data: bytes) -> int:
    """Bytes needed, from the first one on, to decide about a ClientHello (RFC 8446 5.1, 4); 0 if it is complete, or is
    not a hello: then the TLS library reports what is wrong with it.
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
