"""Listening sockets, opened by the control plane and inherited by the data plane."""

import errno
import os
import socket

from canaryproxy.config.types.address import EVERY_IPV4, EVERY_IPV6

BACKLOG = 4096
"""The kernel caps it at net.core.somaxconn."""

REASONS = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine has no IPv6; `:PORT` and 0.0.0.0:PORT do without",
}

NO_IPV6 = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))


class ListenError(Exception):
    """An address cannot be listened on; the message is one line for the user."""


def listen_on(host: str, port: int) -> socket.socket:
    """A bound, listening, non-blocking TCP socket on a literal IP address. An empty `host` means every address of both
    families, or of IPv4 where the system has no IPv6. Raises `ListenError`.

    A socket for an IPv6 address takes no IPv4, whatever the system's default is (`net.ipv6.bindv6only`).
    """
    try:
        if host:
            return _listening(host, port, both=False)
        try:
            return _listening(EVERY_IPV6, port, both=True)
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
            return _listening(EVERY_IPV4, port, both=False)
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise ListenError(f"cannot listen on {display((host, port))}: {reason}") from None


def _listening(host: str, port: int, *, both: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def listening_text(written: tuple[str, int], at: tuple[str, int]) -> str:
    """The address of a socket as in a URL, with the families it accepts where the address does not show them."""
    families = " (IPv4 and IPv6)" if not written[0] else " (IPv6)"
    return display(at) + (families if at[0] == EVERY_IPV6 else "")


def display(address: tuple[str, int]) -> str:
    """`host:port`, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
