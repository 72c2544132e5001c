"""Server-Sent Events (WHATWG HTML, 9.2): the stream of state changes."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.receive_window import MIN_PIECE_BYTES, ReceiveWindow, cut, deliver, piece, read_window
from canaryproxy.control.events import EventBus, PublishedEvent, Queue
from canaryproxy.model.client import client_prefix

Headers = Mapping[str, str]

# Interval of comments: they keep the stream alive and show whether the client reads.
HEARTBEAT_SECONDS = 2.0

# First heartbeats, enlarged to `OPENING_PIECE` bytes: a client that never reads is detected early despite buffers.
OPENING = 4
OPENING_PIECE = 64 * 1024

COMMENT = b": still here\n"
PADDING = b":" + b" " * 1022 + b"\n"


def encode_event(event: PublishedEvent) -> bytes:
    """An event in wire format."""
    data: dict[str, object] = {"at": event.at}
    if event.route:
        data["route"] = event.route
    return f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps({**data, **event.detail})}\n\n".encode()


def heartbeat(size: int) -> bytes:
    """A comment of about `size` bytes, in lines short enough for any client."""
    return COMMENT + PADDING * -(-size // len(PADDING)) + b"\n"


async def stream(request: web.Request, events: EventBus, headers: Headers, owner: str = "") -> web.StreamResponse:
    """Send new events until the client disconnects or is evicted. `owner`: name of its token. Raises `ApiError`."""
    queue = events.subscribe(client_prefix(request.remote or ""), owner)
    if queue is None:
        raise ApiError("too-many-listeners", headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    try:
        await response.prepare(request)
        await deliver(request, response, b"retry: 2000\n\n")
        await _pass_on(request, response, events, queue)
    finally:
        events.unsubscribe(queue)
    return response


async def _pass_on(request: web.Request, response: web.StreamResponse, events: EventBus, queue: Queue) -> None:
    """Send events and heartbeats. Raises `ConnectionResetError` if the client does not read."""
    loop, reading = asyncio.get_running_loop(), ReceiveWindow()
    beat, beats = loop.time() + HEARTBEAT_SECONDS, 0
    while True:
        try:
            async with asyncio.timeout_at(beat):
                event = await queue.get()
        except TimeoutError:
            beat = loop.time() + HEARTBEAT_SECONDS
            size, beats = _watch_client(request, reading), beats + 1
            # Lagging streams are evicted first when all places are taken.
            events.lags(queue, lags=reading.lags)
            await deliver(request, response, heartbeat(max(size, OPENING_PIECE) if beats <= OPENING else size))
            continue
        if event is None:
            return
        await deliver(request, response, encode_event(event))


def _watch_client(request: web.Request, reading: ReceiveWindow) -> int:
    """Bytes of the next heartbeat. Disconnects a client that does not read and raises `ConnectionResetError`."""
    transport = request.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    try:
        sample = None if sock is None else read_window(sock.fileno())
    except (OSError, ValueError):
        sample = None
    if sample is None or transport is None:
        return MIN_PIECE_BYTES
    if not reading.update(sample):
        cut(transport)
        raise ConnectionResetError("the client does not read")
    return piece(sample)
