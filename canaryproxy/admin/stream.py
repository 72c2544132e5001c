"""Server-Sent Events: what happens, as it happens (WHATWG HTML, 9.2)."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from canaryproxy.admin.deliver import deliver
from canaryproxy.admin.problems import Problem
from canaryproxy.control.events import Event, Events

HEARTBEAT = 5.0
"""Seconds of silence after which a comment shows that the stream lives."""


def written(event: Event) -> bytes:
    """An event on the wire."""
    told: dict[str, object] = {"at": event.at}
    if event.route:
        told["route"] = event.route
    data = json.dumps({**told, **event.detail})
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode()


async def stream(request: web.Request, events: Events, headers: Mapping[str, str]) -> web.StreamResponse:
    """Tell one client everything from now on, until it goes, falls behind, or we end. Raises `Problem`."""
    queue = events.listen()
    if queue is None:
        raise Problem("too-many-listeners", headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    try:
        await response.prepare(request)
        await deliver(request, response, b"retry: 2000\n\n")
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    event = await queue.get()
            except TimeoutError:
                await deliver(request, response, b": still here\n\n")
                continue
            if event is None:
                break
            await deliver(request, response, written(event))
    finally:
        events.leave(queue)
    return response
