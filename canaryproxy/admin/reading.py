"""Answers to those who only read: made in turns, once for all where it is the same for all, and sent in pieces."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from canaryproxy.admin import openapi
from canaryproxy.admin.calls import Answer, Call
from canaryproxy.admin.deliver import deliver
from canaryproxy.admin.operations import Operation
from canaryproxy.admin.page import page
from canaryproxy.admin.sharing import Sharing
from canaryproxy.admin.turns import Room, Turns
from canaryproxy.admin.views import Knowledge
from canaryproxy.escape import escaped_json

PIECE = 65_536
"""Bytes that are sent at once. What is longer goes out piece by piece, from the same bytes for all who get it."""

PATIENCE = 30.0
"""Seconds in which a long answer is to be taken."""

MOST = 64
"""Readers of one answer, those who wait for it included."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as it is sent."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @classmethod
    def of(cls, answer: Answer) -> "Written":
        """The JSON of an answer."""
        return cls(escaped_json(answer.body.model_dump_json()).encode(), answer.status, answer.headers)


class Reading:
    """Who reads the API. What never changes is written down once."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._lanes: dict[str, Turns] = {}
        self._shared: dict[str, Sharing[Written]] = {}
        self._room = Room("read", MOST, MOST, knowledge.refused)
        self._constant: dict[tuple[str, bool], Written] = {}

    def __repr__(self) -> str:
        return f"<Reading, {self._lanes}>"

    async def answer(
        self, request: web.Request, operation: Operation, call: Call, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one who reads. Raises `Problem`."""
        if operation.same:
            with self._room.entered(""):
                return await sent(request, await self._sharing(operation, call).get(), headers)
        async with self._lane(operation.lane).turn():
            written = Written.of(await operation.run(call))
        return await sent(request, written, headers)

    def _sharing(self, operation: Operation, call: Call) -> Sharing[Written]:
        async def make() -> Written:
            return Written.of(await operation.run(call))

        return self._shared.setdefault(operation.path, Sharing(operation.path, make, self._knowledge.now))

    def _lane(self, name: str) -> Turns:
        known = self._lanes.get(name)
        if known is None:
            known = self._lanes[name] = Turns(name, self._knowledge.plane.rollouts.precedence, self._knowledge.refused)
        return known

    def openapi(self, *, guarded: bool) -> Written:
        """The description of the API."""
        known = self._constant.get(("openapi", guarded))
        if known is None:
            body = json.dumps(openapi.document(guarded=guarded)).encode()
            known = self._constant["openapi", guarded] = Written(body)
        return known

    def docs(self, *, guarded: bool) -> Written:
        """The same as a page."""
        known = self._constant.get(("docs", guarded))
        if known is None:
            document = json.loads(self.openapi(guarded=guarded).body)
            known = self._constant["docs", guarded] = Written(page(document).encode(), content_type="text/html")
        return known

    def stop(self) -> None:
        """Nobody reads any more."""
        for sharing in self._shared.values():
            sharing.stop()


async def sent(request: web.Request, written: Written, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send an answer, a long one in pieces: what a client does not read is held for nobody."""
    charset = "utf-8"
    if len(written.body) <= PIECE or request.method == "HEAD":
        return web.Response(
            body=written.body, status=written.status, content_type=written.content_type, charset=charset,
            headers=written.headers,
        )  # fmt: skip
    response = web.StreamResponse(status=written.status, headers={**written.headers, **headers})
    response.content_type, response.charset = written.content_type, charset
    response.content_length = len(written.body)
    try:
        async with asyncio.timeout(PATIENCE):
            await response.prepare(request)
            for start in range(0, len(written.body), PIECE):
                await deliver(request, response, written.body[start : start + PIECE])
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client reads too slowly") from None
    return response
