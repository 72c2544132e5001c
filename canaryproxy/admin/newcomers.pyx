"""Accepting from a listening socket, in C: the compiled twin of newcomers.py. A refused connection costs no Python
object but its address.
"""

import os
import socket
from collections.abc import Callable

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t

from canaryproxy.admin import receive_window


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    ctypedef ssize_t ssize_t

    cdef struct sockaddr:
        unsigned short sa_family

    cdef struct sockaddr_storage:
        unsigned short ss_family

    int accept4(int fd, sockaddr *address, socklen_t *length, int flags)
    ssize_t recv(int fd, void *buffer, size_t size, int flags)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
    enum:
        AF_INET
        AF_INET6
        MSG_PEEK
        MSG_DONTWAIT
        SOCK_CLOEXEC

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        pass

    cdef struct in6_addr:
        pass

    cdef struct sockaddr_in:
        in_addr sin_addr

    cdef struct sockaddr_in6:
        in6_addr sin6_addr

    enum:
        IPPROTO_TCP
        INET6_ADDRSTRLEN

cdef extern from "<netinet/tcp.h>" nogil:
    cdef struct tcp_info:
        uint8_t tcpi_state
        uint32_t tcpi_last_ack_recv

    enum:
        TCP_INFO

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)


Newcomer = tuple[socket.socket, str]
Refusable = Callable[[str], bool] | None


cdef bint _silent(int fd, double waited) noexcept:
    """See `receive_window.silent`."""
    cdef char byte
    cdef tcp_info info
    cdef socklen_t length = sizeof(info)
    cdef ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)
    if size > 0:
        return False
    if size == 0 or errno != EAGAIN:
        return True
    info.tcpi_last_ack_recv = 0
    if getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0:
        return False
    return info.tcpi_last_ack_recv >= waited * 1000


cdef str _text(const sockaddr_storage *peer):
    cdef char text[INET6_ADDRSTRLEN]
    cdef const void *address
    if peer.ss_family == AF_INET:
        address = &(<const sockaddr_in *> peer).sin_addr
    elif peer.ss_family == AF_INET6:
        address = &(<const sockaddr_in6 *> peer).sin6_addr
    else:
        return ""
    if inet_ntop(peer.ss_family, address, text, sizeof(text)) == NULL:
        return ""
    return (<bytes> text).decode("ascii")


def take(listening, Py_ssize_t most, refusable):
    """See newcomers.py."""
    cdef sockaddr_storage peer
    cdef socklen_t length
    cdef int listener = listening.fileno()
    cdef int fd
    cdef Py_ssize_t refused = 0
    cdef list found = []
    cdef double waited = receive_window.WAITED
    while len(found) + refused < most:
        length = sizeof(peer)
        peer.ss_family = 0
        fd = accept4(listener, <sockaddr *> &peer, &length, SOCK_CLOEXEC)
        if fd < 0:
            if errno in (EAGAIN, ECONNABORTED, EINTR) or found or refused:
                break
            raise OSError(errno, os.strerror(errno))
        address = _text(&peer)
        if refusable is not None and refusable(address) and _silent(fd, waited):
            refused += 1
            close(fd)
            continue
        connection = socket.socket(listening.family, listening.type, listening.proto, fd)
        connection.setblocking(False)
        found.append((connection, address))
    return found, refused
