"""Noticing a client's reset on connections we are not reading from.

An event loop learns of a reset by reading. While reading is paused, or after the client's FIN, nothing
reads, so the sweep asks the kernel about all such sockets in one poll.
"""

import asyncio
import select
from collections.abc import Iterable


def disconnected(transports: Iterable[asyncio.Transport]) -> list[asyncio.Transport]:
    """Those transports whose peer has reset the connection."""
    by_fd = {transport.get_extra_info("socket").fileno(): transport for transport in transports}
    if not by_fd:
        return []
    poller = select.poll()
    for fd in by_fd:
        poller.register(fd, 0)
    return [by_fd[fd] for fd, events in poller.poll(0) if events & (select.POLLERR | select.POLLHUP)]
