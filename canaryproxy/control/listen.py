"""Listening sockets, opened by the control plane and handed to the data plane."""

import errno
import os
import socket

BACKLOG = 4096
"""The kernel caps it at net.core.somaxconn."""

REASONS = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class CannotListen(Exception):
    """An address cannot be listened on; the message is one line for the user."""


def listen_on(host: str, port: int) -> socket.socket:
    """A bound, listening, non-blocking TCP socket on a literal IP address. Raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        reason = REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise CannotListen(f"cannot listen on {display((host, port))}: {reason}") from None
    sock.setblocking(False)
    return sock


def display(address: tuple[str, int]) -> str:
    """`host:port`, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
