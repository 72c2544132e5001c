"""Answers to those who only read: made in turns, once for all where it is the same for all, and sent in pieces."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from canaryproxy.admin import openapi
from canaryproxy.admin.api_call import ApiCall, ApiResponse
from canaryproxy.admin.fair_queue import FairQueue, ReaderQuota
from canaryproxy.admin.html_page import page
from canaryproxy.admin.operations import Operation
from canaryproxy.admin.single_flight import SingleFlight
from canaryproxy.admin.slow_writes import deliver
from canaryproxy.admin.views import Views
from canaryproxy.escape import escaped_json

PIECE = 65_536
"""Bytes that are sent at once. What is longer goes out piece by piece, from the same bytes for all who get it."""

TIMEOUT_SECONDS = 30.0
"""Seconds in which a long answer is to be taken."""

MAX_READERS = 64
"""Readers of one answer, those who wait for it included."""


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """An answer as it is sent."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @classmethod
    def of(cls, answer: ApiResponse) -> "EncodedResponse":
        """The JSON of an answer."""
        return cls(escaped_json(answer.body.model_dump_json()).encode(), answer.status, answer.headers)


class ReadResponder:
    """Who reads the API. What never changes is written down once."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._lanes: dict[str, FairQueue] = {}
        self._shared: dict[str, SingleFlight[EncodedResponse]] = {}
        self._room = ReaderQuota("read", MAX_READERS, MAX_READERS, views.rejected_requests)
        self._constant: dict[tuple[str, bool], EncodedResponse] = {}

    def __repr__(self) -> str:
        return f"<ReadResponder, {self._lanes}>"

    async def answer(
        self, request: web.Request, operation: Operation, call: ApiCall, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one who reads. Raises `Problem`."""
        if operation.same:
            with self._room.entered(""):
                return await send_response(request, await self._sharing(operation, call).get(), headers)
        async with self._lane(operation.lane).turn():
            written = EncodedResponse.of(await operation.run(call))
        return await send_response(request, written, headers)

    def _sharing(self, operation: Operation, call: ApiCall) -> SingleFlight[EncodedResponse]:
        async def make() -> EncodedResponse:
            return EncodedResponse.of(await operation.run(call))

        return self._shared.setdefault(operation.path, SingleFlight(operation.path, make, self._views.now))

    def _lane(self, name: str) -> FairQueue:
        known = self._lanes.get(name)
        if known is None:
            known = self._lanes[name] = FairQueue(
                name, self._views.plane.rollouts.precedence, self._views.rejected_requests
            )
        return known

    def openapi(self, *, guarded: bool) -> EncodedResponse:
        """The description of the API."""
        known = self._constant.get(("openapi", guarded))
        if known is None:
            body = json.dumps(openapi.document(guarded=guarded)).encode()
            known = self._constant["openapi", guarded] = EncodedResponse(body)
        return known

    def docs(self, *, guarded: bool) -> EncodedResponse:
        """The same as a page."""
        known = self._constant.get(("docs", guarded))
        if known is None:
            document = json.loads(self.openapi(guarded=guarded).body)
            known = self._constant["docs", guarded] = EncodedResponse(page(document).encode(), content_type="text/html")
        return known

    def stop(self) -> None:
        """Stop serving readers."""
        for sharing in self._shared.values():
            sharing.stop()


async def send_response(
    request: web.Request, written: EncodedResponse, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send an answer, a long one in pieces: what a client does not read is not buffered."""
    charset = "utf-8"
    if len(written.body) <= PIECE or request.method == "HEAD":
        return web.Response(
            body=written.body,
            status=written.status,
            content_type=written.content_type,
            charset=charset,
            headers=written.headers,
        )
    response = web.StreamResponse(status=written.status, headers={**written.headers, **headers})
    response.content_type, response.charset = written.content_type, charset
    response.content_length = len(written.body)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await response.prepare(request)
            for start in range(0, len(written.body), PIECE):
                await deliver(request, response, written.body[start : start + PIECE])
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client reads too slowly") from None
    return response
