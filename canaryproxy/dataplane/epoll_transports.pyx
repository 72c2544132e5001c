"""TCP connections read and written directly: two epoll sets for all connections of a worker, one system call per event.

The event loop knows only the sets, as file descriptors that are readable when any connection in them has events.
Endpoints, and clients that have received a response (`prefer`), have a set of their own: strangers are served for a
limited time in each turn of the loop, whatever they send. A connection behaves like a transport of asyncio (buffering,
pausing, half-closing; `connection_lost` is never called from within another call), so the same protocols run on the
loop's own transports in plain Python, where epoll_transports.py replaces this module.

Small pieces written while several connections have events are sent together after all were served: a peer that waits
for them wakes up once instead of once per piece. Anything else is sent at once. After a failed write, everything that
the peer had sent before is still read, so a response that was under way when the peer closed is not lost.
"""

import logging
import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from canaryproxy.dataplane.buffers cimport Buffers
from canaryproxy.dataplane.transports cimport FastProtocol, FastTransport

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *content, Py_ssize_t size) except NULL
    int resize_bytes "_PyBytes_Resize"(PyObject **data, Py_ssize_t size) except -1
    char *content_of "PyBytes_AS_STRING"(PyObject *data)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd

    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data

    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int most, int timeout)
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
        EPOLL_CLOEXEC

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void *buffer, size_t size, int flags)
    ssize_t send(int fd, const void *buffer, size_t size, int flags)

    cdef struct iovec:
        void *iov_base
        size_t iov_len

    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen

    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)
    enum:
        MSG_NOSIGNAL
        SHUT_WR

cdef enum:
    # Connections served in one turn of the loop, at most: preferred ones, and strangers.
    AT_ONCE = 256
    STRANGERS_AT_ONCE = 64
    # Bytes read into the common buffer and copied out of it: heads, mostly.
    SMALL = 16384
    # Pieces sent in one system call, at most: thousands of small ones may wait for a peer that does not read.
    TOGETHER = 256
    # Bytes sent in one system call, not counting the last piece.
    LARGE = 262144
    # Bytes queued before `pause_writing` is called, unless set otherwise.
    HIGH = 65536
    # Overhead of a queued piece, beside its bytes (`buffers.PIECE`).
    PIECE = 64

UNLIMITED = 2**62

log = logging.getLogger("canaryproxy")

cdef double STRANGERS_TURN = 0.001
"""Seconds of a turn of the loop for strangers: clients that have received no response yet. A flood of new connections,
however much they send, delays the preferred ones by no more than that.
"""


cdef double monotonic() noexcept:
    """Seconds of the monotonic clock."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef int created() except -1:
    """A new epoll set."""
    cdef int fd = epoll_create1(EPOLL_CLOEXEC)
    if fd < 0:
        raise OSError(errno, os.strerror(errno))
    return fd


cdef class Poller:
    """The connections of one worker, on its loop. Queued bytes are counted in `buffers`."""

    cdef object loop
    cdef readonly Buffers buffers
    cdef int _fd
    cdef int _strangers
    cdef list _connections
    cdef list _gathered
    cdef bint _gathering
    cdef char _small[SMALL]

    def __init__(self, loop, Buffers buffers=None):
        self.loop = loop
        self.buffers = Buffers() if buffers is None else buffers
        if buffers is None:
            self.buffers.water = UNLIMITED
        self._connections = []
        self._gathered = []
        self._fd = created()
        self._strangers = created()
        loop.add_reader(self._fd, self.attend)
        loop.add_reader(self._strangers, self._strangers_ready)

    def __repr__(self):
        return f"<Poller {sum(one is not None for one in self._connections)} connections>"

    def adopt(self, sock, protocol):
        """Serve a connected, non-blocking socket; `connection_made` is called at once."""
        cdef Connection connection = Connection.__new__(Connection)
        cdef int fd = sock.fileno()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection._begin(self, sock, fd, protocol)
        while len(self._connections) <= fd:
            self._connections.append(None)
        self._connections[fd] = connection
        try:
            protocol.connection_made(connection)
        except BaseException as error:
            connection._fail(error)
            raise
        connection._follow()
        return connection

    def close(self):
        """Stop, and close all connections."""
        if self._fd >= 0:
            for connection in self._connections:
                if connection is not None:
                    connection.abort()
            for fd in (self._fd, self._strangers):
                self.loop.remove_reader(fd)
                os.close(fd)
            self._fd = self._strangers = -1

    cpdef attend(self):
        """Serve preferred connections; also called between two steps of long work."""
        cdef epoll_event events[AT_ONCE]
        cdef int count = epoll_wait(self._fd, events, AT_ONCE, 0)
        cdef int number
        cdef Connection connection
        if count <= 0:
            return
        self._gathering = count > 1
        for number in range(count):
            one = self._connections[events[number].data.fd]
            if one is not None:
                connection = <Connection> one
                connection._news(events[number].events)
        if self._gathering:
            self._gathering = False
            self._scatter()

    def _strangers_ready(self):
        """Serve strangers for a limited time, and preferred connections between any two. epoll returns ready
        descriptors in turn, so the rest comes first the next time.
        """
        cdef epoll_event events[STRANGERS_AT_ONCE]
        cdef int count = epoll_wait(self._strangers, events, STRANGERS_AT_ONCE, 0)
        cdef int number
        cdef double until = monotonic() + STRANGERS_TURN
        cdef Connection connection
        for number in range(count):
            one = self._connections[events[number].data.fd]
            if one is not None:
                self._gathering = count > 1
                connection = <Connection> one
                connection._news(events[number].events)
                if monotonic() >= until:
                    break
                if number + 1 < count:
                    self.attend()
        self._gathering = False
        if self._gathered:
            self._scatter()

    cdef int _scatter(self) except -1:
        """Send what was written while connections were served."""
        cdef list gathered = self._gathered
        cdef Connection connection
        self._gathered = []
        for connection in gathered:
            connection._gathered = False
            if connection._queued:
                connection._flush()
        return 0

    cdef int _watch(self, int fd, bint preferred, uint32_t before, uint32_t wanted) except -1:
        cdef epoll_event event
        event.events = wanted
        event.data.fd = fd
        cdef int operation = EPOLL_CTL_MOD
        if not wanted:
            operation = EPOLL_CTL_DEL
        elif not before:
            operation = EPOLL_CTL_ADD
        if self._fd >= 0 and epoll_ctl(self._fd if preferred else self._strangers, operation, fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        return 0


def open_poller(loop, Buffers buffers=None):
    """The connections of one worker, on its loop. Queued bytes are counted in `buffers`."""
    return Poller(loop, buffers)


cdef class Connection(FastTransport):
    """One TCP connection, with the interface of asyncio's transports.

    `_queue` waits to be written, except its first `_sent` bytes; `_held` is the memory of its pieces, including the
    part of the first one that was sent. `_broken` is the error of a failed write.
    """

    cdef Poller _poller
    cdef object _sock
    cdef object _protocol
    cdef FastProtocol _receiver
    cdef list _queue
    cdef object _broken
    cdef int _fd
    cdef uint32_t _watched
    cdef Py_ssize_t _queued
    cdef Py_ssize_t _held
    cdef Py_ssize_t _sent
    cdef Py_ssize_t _high
    cdef bint _closing
    cdef bint _lost
    cdef bint _paused
    cdef bint _ended
    cdef bint _eof_wanted
    cdef bint _blocked
    cdef bint _bulk
    cdef bint _gathered
    cdef bint _preferred

    cdef _begin(self, Poller poller, sock, int fd, protocol):
        self._poller = poller
        self._sock = sock
        self.set_protocol(protocol)
        self._fd = fd
        self._high = HIGH

    def __repr__(self):
        return f"<Connection {self._fd}{' closing' if self._closing else ''}, {self._queued} bytes queued>"

    def get_extra_info(self, name, default=None):
        """`socket` and `peername`, as of an asyncio transport."""
        if name == "socket":
            return self._sock
        if name == "peername":
            try:
                return self._sock.getpeername()
            except OSError:
                return default
        return default

    def set_protocol(self, protocol):
        """Set the protocol that receives the events."""
        self._protocol = protocol
        self._receiver = protocol if isinstance(protocol, FastProtocol) else None

    def get_protocol(self):
        """The protocol that receives the events."""
        return self._protocol

    def is_closing(self):
        """Whether it is closed, or will be once its bytes are sent."""
        return self._closing

    cpdef prefer(self):
        """Serve this connection before strangers from now on."""
        if self._preferred:
            return
        if self._watched:
            self._poller._watch(self._fd, False, self._watched, 0)
            self._poller._watch(self._fd, True, 0, self._watched)
        self._preferred = True

    # Reading.

    cdef int _news(self, uint32_t events) except -1:
        if events & (EPOLLOUT | EPOLLERR | EPOLLHUP) and self._watched & EPOLLOUT:
            self._flush()
        if events & (EPOLLIN | EPOLLERR | EPOLLHUP) and self._watched & EPOLLIN:
            self._read()
        return 0

    cdef int _read(self) except -1:
        cdef bytes data = None
        cdef FastProtocol receiver = self._receiver  # a reference: the call may replace and free it
        cdef ssize_t size
        if self._bulk:
            data = _received(self._fd, self._poller.buffers.portion, &size)
            self._bulk = size >= SMALL
        else:
            size = recv(self._fd, self._poller._small, SMALL, 0)
            if size < 0:
                size = -errno
            self._bulk = size == SMALL
            if size > 0:
                data = PyBytes_FromStringAndSize(self._poller._small, size)
        try:
            if size > 0:
                if receiver is None:
                    self._protocol.data_received(data)
                else:
                    receiver.data_received(data)
            elif size == 0:
                self._end()
            elif size != -EAGAIN and size != -EINTR:
                self._fail(OSError(-size, os.strerror(-size)))
        except Exception as error:
            self._report(error)
        return 0

    cdef int _end(self) except -1:
        """End of input: the peer's FIN, or a connection that broke when we wrote."""
        if self._broken is not None:
            self._fail(self._broken)
            return 0
        self._ended = True
        self._follow()
        if not self._protocol.eof_received() and not self._closing:
            self.close()
        return 0

    def pause_reading(self):
        """Pause reading."""
        self._paused = True
        if self._broken is not None:
            self._fail(self._broken)
        self._follow()

    def resume_reading(self):
        """Read again."""
        self._paused = False
        self._follow()

    cdef int _follow(self) except -1:
        """Register the events that are wanted now."""
        cdef uint32_t wanted = 0
        if not self._lost:
            if not (self._paused or self._ended or self._closing):
                wanted |= EPOLLIN
            if self._queued and not self._gathered:
                wanted |= EPOLLOUT
        if wanted != self._watched:
            self._poller._watch(self._fd, self._preferred, self._watched, wanted)
            self._watched = wanted
        return 0

    # Writing.

    cpdef write(self, data):
        """Send what the kernel takes now, queue the rest. Does nothing once closing or broken."""
        cdef bytes piece = data if type(data) is bytes else bytes(memoryview(data))
        cdef Py_ssize_t size = PyBytes_GET_SIZE(piece)
        cdef ssize_t sent
        if self._closing or self._broken is not None or self._eof_wanted or not size:
            return
        if not self._queued:
            if self._poller._gathering and size < SMALL:
                self._gather(piece, size)
                return
            sent = send(self._fd, PyBytes_AS_STRING(piece), size, MSG_NOSIGNAL)
            if sent == size:
                return
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self._break()
                    return
                sent = 0
            self._sent = sent
            self._queue = [piece]
            self._queued = size - sent
            self._hold(size + PIECE)
            self._follow()
        else:
            self._queue.append(piece)
            self._queued += size
            self._hold(size + PIECE)
            if self._gathered and self._queued >= SMALL:
                self._gathered = False
                self._flush()
        self._check_limit()

    cdef int _hold(self, Py_ssize_t size) except -1:
        """Count `size` more bytes as held; fewer if negative."""
        self._held += size
        self._poller.buffers.add(size)
        return 0

    cdef int _check_limit(self) except -1:
        if not self._blocked and (self._queued > self._high or self._held > self._poller.buffers.water):
            self._blocked = True
            try:
                self._protocol.pause_writing()
            except Exception as error:
                self._report(error)
        return 0

    cdef int _report(self, error) except -1:
        """The protocol raised: close this connection only."""
        self._poller.loop.call_exception_handler(
            {"message": "a connection's protocol failed", "exception": error, "transport": self,
             "protocol": self._protocol}
        )
        self._fail(error)
        return 0

    cdef int _gather(self, bytes piece, Py_ssize_t size) except -1:
        """Send the piece after all connections with events were served."""
        self._sent = 0
        self._queue = [piece]
        self._queued = size
        self._hold(size + PIECE)
        self._gathered = True
        self._poller._gathered.append(self)
        return 0

    def writelines(self, pieces):
        """Send these in order."""
        for piece in pieces:
            self.write(piece)

    cdef int _flush(self) except -1:
        cdef bytes piece
        cdef Py_ssize_t left
        cdef ssize_t sent
        cdef ssize_t wanted = 0
        cdef Py_ssize_t done = 0
        cdef bint whole = True
        while self._queued and whole:
            sent = self._send_from(done, &wanted)
            if sent < 0:
                if errno == EAGAIN or errno == EINTR:
                    break
                self._break()
                return 0
            whole = sent == wanted
            self._queued -= sent
            while sent:
                piece = <bytes> self._queue[done]
                left = PyBytes_GET_SIZE(piece) - self._sent
                if sent < left:
                    self._sent += sent
                    break
                sent -= left
                self._sent = 0
                done += 1
                self._hold(-PyBytes_GET_SIZE(piece) - PIECE)
        if not self._queued:
            self._queue = None
            self._emptied()
        else:
            del self._queue[:done]
            self._follow()
            self._check_limit()
        if self._blocked and self._queued <= min(self._high, self._poller.buffers.water) >> 2:
            self._blocked = False
            try:
                self._protocol.resume_writing()
            except Exception as error:
                self._report(error)
        return 0

    cdef ssize_t _send_from(self, Py_ssize_t done, ssize_t *wanted) except? -1:
        """Send pieces after the first `done`; `wanted` is set to the bytes passed to the call."""
        cdef iovec parts[TOGETHER]
        cdef msghdr message
        cdef Py_ssize_t waiting = len(self._queue)
        cdef Py_ssize_t skipped = self._sent
        cdef int count = 0
        cdef bytes piece
        wanted[0] = 0
        while done < waiting and count < TOGETHER and wanted[0] < LARGE:
            piece = <bytes> self._queue[done]
            parts[count].iov_base = PyBytes_AS_STRING(piece) + skipped
            parts[count].iov_len = PyBytes_GET_SIZE(piece) - skipped
            wanted[0] += parts[count].iov_len
            skipped = 0
            count += 1
            done += 1
        if count == 1:
            return send(self._fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
        memset(&message, 0, sizeof(message))
        message.msg_iov = parts
        message.msg_iovlen = count
        return sendmsg(self._fd, &message, MSG_NOSIGNAL)

    cdef int _emptied(self) except -1:
        self._follow()
        if self._closing:
            self._lose(None)
        elif self._eof_wanted:
            shutdown(self._fd, SHUT_WR)
        return 0

    cdef int _break(self) except -1:
        """Nothing more can be written. What the peer had sent is read first, unless reading is paused."""
        self._broken = OSError(errno, os.strerror(errno))
        self._forget()
        if self._paused or self._ended or self._closing:
            self._fail(self._broken)
        else:
            self._follow()
        return 0

    def can_write_eof(self):
        """TCP can close one direction."""
        return True

    def write_eof(self):
        """Send FIN once everything queued is sent."""
        if self._eof_wanted or self._closing:
            return
        self._eof_wanted = True
        if not self._queued:
            shutdown(self._fd, SHUT_WR)

    def set_write_buffer_limits(self, high=65536):
        """Bytes queued above which `pause_writing` is called; `resume_writing` at a quarter of them."""
        self._high = high

    def get_write_buffer_size(self):
        """Bytes queued here."""
        if self._gathered:
            self._gathered = False
            self._flush()
        return self._queued

    def held(self):
        """Memory of the queue, including the part of its first piece that was sent."""
        return self._held

    # The end.

    def close(self):
        """Read no more, and close once everything queued is sent."""
        if self._closing:
            return
        self._closing = True
        self._follow()
        if not self._queued:
            self._lose(None)

    def abort(self):
        """Close now and discard the queue."""
        self._fail(None)

    cdef int _fail(self, error) except -1:
        self._closing = True
        self._forget()
        self._lose(error)
        return 0

    cdef int _forget(self) except -1:
        """Discard the queue."""
        self._queue = None
        self._queued = 0
        self._hold(-self._held)
        return 0

    cdef int _lose(self, error) except -1:
        """Close the socket and call `connection_lost` in the next turn of the loop."""
        if self._lost:
            return 0
        self._lost = True
        self._follow()
        self._poller.loop.call_soon(self._bury, error)
        return 0

    def _bury(self, error):
        if self._poller._connections[self._fd] is self:
            self._poller._connections[self._fd] = None
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()
            self.set_protocol(None)


cdef bytes _received(int fd, Py_ssize_t most, ssize_t *size):
    """Read into a new bytes object; None unless `size` is set above 0. A negative `size` is an errno."""
    cdef PyObject *room = new_bytes(NULL, most)
    size[0] = recv(fd, content_of(room), most, 0)
    if size[0] < 0:
        size[0] = -errno
    if size[0] <= 0:
        Py_DECREF(<object> room)
        return None
    if size[0] < most:
        resize_bytes(&room, size[0])
    data = <bytes> room
    Py_DECREF(data)
    return data
