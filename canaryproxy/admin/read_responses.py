"""Responses to readers: computed in turns, shared where they are the same for all, and sent in pieces."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from canaryproxy.admin import openapi
from canaryproxy.admin.api_call import ApiCall, ApiResponse
from canaryproxy.admin.fair_queue import FairQueue, ReaderQuota
from canaryproxy.admin.operation import Operation
from canaryproxy.admin.receive_window import send_pieces
from canaryproxy.admin.single_flight import SingleFlight
from canaryproxy.admin.views import Views
from canaryproxy.escape import escaped_json

Headers = Mapping[str, str]

# Bytes sent at once. Longer responses are sent in pieces, without copies per reader.
PIECE = 65_536

# Concurrent readers of a shared response, including those that wait for it.
MAX_READERS = 64


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """A response in the form in which it is sent."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @classmethod
    def of(cls, answer: ApiResponse) -> "EncodedResponse":
        """Encode a response as JSON."""
        return cls(escaped_json(answer.body.model_dump_json()).encode(), answer.status, answer.headers)


class ReadResponder:
    """Responds to reading operations. Constant documents are encoded once."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._lanes: dict[str, FairQueue] = {}
        self._shared: dict[str, SingleFlight[EncodedResponse]] = {}
        self._quota = ReaderQuota("read", MAX_READERS, MAX_READERS, views.rejected_requests)
        self._constant: dict[tuple[str, bool], EncodedResponse] = {}

    def __repr__(self) -> str:
        return f"<ReadResponder, {self._lanes}>"

    async def answer(
        self, request: web.Request, operation: Operation, call: ApiCall, headers: Headers
    ) -> web.StreamResponse:
        """Run a reading operation and send its response. Raises `ApiError`."""
        if operation.same:
            with self._quota.entered(""):
                return await send_response(request, await self._sharing(operation, call).get(), headers)
        async with self._lane(operation.lane).turn():
            encoded = EncodedResponse.of(await operation.run(call))
        return await send_response(request, encoded, headers)

    def _sharing(self, operation: Operation, call: ApiCall) -> SingleFlight[EncodedResponse]:
        async def make() -> EncodedResponse:
            return EncodedResponse.of(await operation.run(call))

        return self._shared.setdefault(operation.path, SingleFlight(operation.path, make, self._views.now))

    def _lane(self, name: str) -> FairQueue:
        if name not in self._lanes:
            views = self._views
            self._lanes[name] = FairQueue(name, views.plane.rollouts.precedence, views.rejected_requests)
        return self._lanes[name]

    def openapi(self, *, guarded: bool) -> EncodedResponse:
        """The OpenAPI document. `guarded`: tokens are required."""
        known = self._constant.get(("openapi", guarded))
        if known is None:
            body = json.dumps(openapi.document(guarded=guarded)).encode()
            known = self._constant["openapi", guarded] = EncodedResponse(body)
        return known

    def docs(self, *, guarded: bool) -> EncodedResponse:
        """The OpenAPI document as an HTML page."""
        known = self._constant.get(("docs", guarded))
        if known is None:
            page = openapi.html_page(json.loads(self.openapi(guarded=guarded).body))
            known = self._constant["docs", guarded] = EncodedResponse(page.encode(), content_type="text/html")
        return known

    def stop(self) -> None:
        """Cancel shared computations."""
        for sharing in self._shared.values():
            sharing.stop()


async def send_response(request: web.Request, encoded: EncodedResponse, headers: Headers) -> web.StreamResponse:
    """Send a response, a long one in pieces: nothing is buffered for a client that does not read."""
    response: web.StreamResponse
    whole = len(encoded.body) <= PIECE or request.method == "HEAD"
    if whole:
        response = web.Response(body=encoded.body, status=encoded.status, headers=encoded.headers)
    else:
        response = web.StreamResponse(status=encoded.status, headers={**encoded.headers, **headers})
    response.content_type, response.charset = encoded.content_type, "utf-8"
    if whole:
        return response
    response.content_length = len(encoded.body)
    pieces = (encoded.body[start : start + PIECE] for start in range(0, len(encoded.body), PIECE))
    await send_pieces(request, response, pieces)
    return response
