"""`/metrics`: one rendering at a time for all who scrape, kept for a second, and sent without a copy for each of them.
A change is seen at once: a rendering that was begun before it is not kept for those who come after it.

Anybody who reaches the port may ask, and a rendering costs what a thousand requests do. Between two pieces others have
their turn, and what changes traffic goes first. Few are answered at a time, and fewer of one address. Who reads slowly
is given up, sooner where old renderings would take too much memory for him, or where there is no room for one more.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter

from aiohttp import web

from canaryproxy.admin.fair_queue import ReaderQuota
from canaryproxy.admin.single_flight import SingleFlight
from canaryproxy.admin.slow_writes import deliver
from canaryproxy.control.controller import ChangePriority
from canaryproxy.model.client import client_prefix
from canaryproxy.telemetry.read import exposition
from canaryproxy.telemetry.read.exposition import Exposition, ExpositionFormat
from canaryproxy.telemetry.read.metrics import InstanceFacts

CACHE_SECONDS = 1.0
"""Seconds for which a rendering is kept, from the moment its facts were read."""

TURN_SECONDS = 0.002
"""Seconds of rendering between two turns of others. Fewer pieces at a time, and a flood of requests, of which each turn
takes some, would make a rendering take as many turns as it has pieces.
"""

MAX_READERS = 64
"""Scrapers that are answered at a time, those who wait for the rendering included."""

MAX_PER_ADDRESS = 16
"""How many of them may have the same address."""

TIMEOUT_SECONDS = 30.0
"""Seconds in which the whole answer is to be taken."""

SLOW = 1.0
"""Seconds of reading after which a scraper gives way to one more, of its own address where that has its share."""

MAX_BUFFERED_BYTES = 32 * 1024 * 1024
"""Bytes of renderings that are held for those who have not read them. One is held in any case."""


@dataclass(slots=True, eq=False)
class ScrapeReader:
    """One who gets a rendering."""

    request: web.Request
    rendering: Exposition
    address: str
    since: float
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class MetricsEndpoint:
    """Answers all who scrape. `facts` are read for each rendering, on the clock `now`; `state` is another one after
    each change.
    """

    def __init__(
        self,
        facts: Callable[[], Awaitable[InstanceFacts]],
        now: Callable[[], float],
        precedence: ChangePriority,
        refused: MutableMapping[str, int],
        state: Callable[[], object] = lambda: None,
    ) -> None:
        self._facts = facts
        self._precedence = precedence
        self._sharing = SingleFlight("a rendering of the metrics", self._render, now, CACHE_SECONDS, state)
        self._room = ReaderQuota("metrics", MAX_READERS, MAX_PER_ADDRESS, refused)
        self._readers: dict[ScrapeReader, None] = {}
        self._held: list[Exposition] = []

    def __repr__(self) -> str:
        return f"<MetricsEndpoint, {len(self._readers)} are sent>"

    @property
    def under_way(self) -> int:
        """How many answers are being sent."""
        return len(self._readers)

    async def answer(
        self, request: web.Request, form: ExpositionFormat, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer one. Raises `Problem`."""
        address = client_prefix(request.remote or "")
        await self._evict_reader(address)
        with self._room.entered(address):
            response = web.StreamResponse(headers={"Content-Type": form.content_type, **headers})
            if request.method == "HEAD":
                await response.prepare(request)
                return response
            rendering = await self._sharing.get()
            reader = ScrapeReader(request, rendering, address, asyncio.get_running_loop().time())
            response.content_length = reader.rendering.length(form)
            self._readers[reader] = None
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await self._send(reader, response, form)
            except TimeoutError:
                _cut(reader)
                raise ConnectionResetError("the client reads too slowly") from None
            finally:
                self._readers.pop(reader, None)
                reader.gone.set()
            return response

    async def _evict_reader(self, address: str) -> None:
        """Where there is no room for one more, a slow one is given up: of this address where that has its share, else
        of the one that has the most; of these the one that has been reading for longest.
        """
        full = self._room.full(address)
        if not full and not self._room.has_waiters:
            return
        before = asyncio.get_running_loop().time() - SLOW
        slow = [one for one in self._readers if one.since <= before and (one.address == address or not full)]
        if not slow:
            return
        counts = Counter(one.address for one in self._readers)
        victim = max(slow, key=lambda one: counts[one.address])
        del self._readers[victim]
        _cut(victim)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SLOW):
                await victim.gone.wait()

    async def _send(self, reader: ScrapeReader, response: web.StreamResponse, form: ExpositionFormat) -> None:
        await response.prepare(reader.request)
        for block in reader.rendering.blocks(form):
            await deliver(reader.request, response, block)
            await self._precedence.breathe()
        await response.write_eof()

    async def _render(self) -> Exposition:
        pieces = []
        facts = await self._facts()
        since = perf_counter()
        for piece in exposition.render(facts):
            pieces.append(piece)
            if perf_counter() - since >= TURN_SECONDS:
                await self._precedence.breathe()
                since = perf_counter()
        made = Exposition(tuple(pieces))
        self._evict_renderings(made)
        return made

    def _evict_renderings(self, made: Exposition) -> None:
        """Give those up who hold the oldest renderings, where they and the new one are too much."""
        self._held = [one for one in self._held if any(reader.rendering is one for reader in self._readers)]
        size = made.size + sum(one.size for one in self._held)
        while self._held and size > MAX_BUFFERED_BYTES:
            oldest = self._held.pop(0)
            size -= oldest.size
            for reader in [one for one in self._readers if one.rendering is oldest]:
                _cut(reader)
        self._held.append(made)

    def stop(self) -> None:
        """Stop answering scrapes."""
        self._sharing.stop()


def _cut(reader: ScrapeReader) -> None:
    if reader.request.transport is not None:
        reader.request.transport.abort()
