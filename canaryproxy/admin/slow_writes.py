"""Sending a long answer piece by piece, to a client that may not read."""

import asyncio

from aiohttp import web

from canaryproxy.admin.receive_window import cut

TIMEOUT_SECONDS = 10.0
"""Seconds for a piece to be taken."""


async def deliver(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Send a piece. A client that does not take it is cut off, so that nothing is held for it.

    Raises `ConnectionResetError` then.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await response.write(piece)
    except TimeoutError:
        if request.transport is not None:
            cut(request.transport)
        raise ConnectionResetError("the client does not read") from None
