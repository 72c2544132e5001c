"""Server-Sent Events: what happens, as it happens (WHATWG HTML, 9.2)."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from canaryproxy.admin.deliver import deliver
from canaryproxy.admin.problems import Problem
from canaryproxy.admin.receive_window import LEAST_PIECE, ReceiveWindow, Seen, cut, piece, see
from canaryproxy.control.events import EventBus, PublishedEvent, Queue
from canaryproxy.model.client_prefix import client_prefix

HEARTBEAT = 2.0
"""Seconds between two comments, which show a client that the stream lives, and us whether the client reads."""

OPENING = 4
"""Heartbeats at the beginning that are as large as `OPENING_PIECE`: one that never reads is found soon, also where its
buffers are large.
"""
OPENING_PIECE = 64 * 1024

COMMENT = b": still here\n"
PADDING = b":" + b" " * 1022 + b"\n"


def written(event: PublishedEvent) -> bytes:
    """An event on the wire."""
    told: dict[str, object] = {"at": event.at}
    if event.route:
        told["route"] = event.route
    data = json.dumps({**told, **event.detail})
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode()


def heartbeat(size: int) -> bytes:
    """A comment of so many bytes, about, in lines that any client can hold."""
    return COMMENT + PADDING * -(-size // len(PADDING)) + b"\n"


async def stream(
    request: web.Request, events: EventBus, headers: Mapping[str, str], owner: str = ""
) -> web.StreamResponse:
    """Tell one client everything from now on, until it goes, falls behind, does not read, gives way, or we end. `owner`
    is its token's name. Raises `Problem`.
    """
    queue = events.subscribe(client_prefix(request.remote or ""), owner)
    if queue is None:
        raise Problem("too-many-listeners", headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    try:
        await response.prepare(request)
        await deliver(request, response, b"retry: 2000\n\n")
        await _pass_on(request, response, events, queue)
    finally:
        events.unsubscribe(queue)
    return response


async def _pass_on(request: web.Request, response: web.StreamResponse, events: EventBus, queue: Queue) -> None:
    """Everything until the end. Raises `ConnectionResetError` where the client does not read."""
    loop, reading = asyncio.get_running_loop(), ReceiveWindow()
    beat, beats = loop.time() + HEARTBEAT, 0
    while True:
        try:
            async with asyncio.timeout_at(beat):
                event = await queue.get()
        except TimeoutError:
            beat = loop.time() + HEARTBEAT
            size, beats = _look(request, reading), beats + 1
            events.lags(queue, lags=reading.lags)
            await deliver(request, response, heartbeat(max(size, OPENING_PIECE) if beats <= OPENING else size))
            continue
        if event is None:
            return
        await deliver(request, response, written(event))


def _look(request: web.Request, reading: ReceiveWindow) -> int:
    """Cut off a client that does not read, with `ConnectionResetError`; else how many bytes the next heartbeat has."""
    seen = _seen(request)
    if seen is None:
        return LEAST_PIECE
    if not reading.look(seen):
        if request.transport is not None:
            cut(request.transport)
        raise ConnectionResetError("the client does not read")
    return piece(seen)


def _seen(request: web.Request) -> Seen | None:
    """What TCP says of its client; None where it says nothing."""
    sock = None if request.transport is None else request.transport.get_extra_info("socket")
    try:
        return None if sock is None else see(sock.fileno())
    except (OSError, ValueError):
        return None
