"""`/metrics`: one rendering at a time, cached for a second and shared by all scrapers without copies. A change is
visible at once: a rendering that began before the change is not used after it.

Anyone who reaches the port may scrape, and a rendering costs as much as a thousand requests. So rendering yields to
the event loop, changes of traffic have priority, and concurrent scrapers are limited in total and per address. Slow
readers are disconnected, earlier when old renderings take too much memory or a place is needed.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter

from aiohttp import web

from canaryproxy.admin.fair_queue import ReaderQuota
from canaryproxy.admin.receive_window import send_pieces
from canaryproxy.admin.single_flight import SingleFlight
from canaryproxy.control.controller import ChangePriority
from canaryproxy.model.client import client_prefix
from canaryproxy.telemetry.read import exposition
from canaryproxy.telemetry.read.exposition import Exposition, ExpositionFormat
from canaryproxy.telemetry.read.metrics import InstanceFacts

Headers = Mapping[str, str]

# Lifetime of a rendering from the moment its input was read.
CACHE_SECONDS = 1.0

# Time of rendering between two yields to the event loop. Shorter turns let a flood of requests delay a rendering.
TURN_SECONDS = 0.002

# Concurrent scrapers, including those that wait for the rendering.
MAX_READERS = 64

# Concurrent scrapers of one address.
MAX_PER_ADDRESS = 16

# Time of reading after which a scraper may be evicted for a new one.
SLOW_SECONDS = 1.0

# Bytes of renderings kept for scrapers that still read them. One is kept in any case.
MAX_BUFFERED_BYTES = 32 * 1024 * 1024


@dataclass(slots=True, eq=False)
class ScrapeReader:
    """A scraper that reads a rendering."""

    request: web.Request
    rendering: Exposition
    address: str
    since: float
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class MetricsEndpoint:
    """Responds to scrapers. `facts` is read for each rendering; `state` returns another value after each change."""

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
        self._quota = ReaderQuota("metrics", MAX_READERS, MAX_PER_ADDRESS, refused)
        self._readers: dict[ScrapeReader, None] = {}
        self._held: list[Exposition] = []

    def __repr__(self) -> str:
        return f"<MetricsEndpoint, {len(self._readers)} are sent>"

    @property
    def under_way(self) -> int:
        """Number of responses being sent."""
        return len(self._readers)

    async def answer(self, request: web.Request, form: ExpositionFormat, headers: Headers) -> web.StreamResponse:
        """Respond to a scraper. Raises `ApiError`."""
        address = client_prefix(request.remote or "")
        await self._evict_reader(address)
        with self._quota.entered(address):
            response = web.StreamResponse(headers={"Content-Type": form.content_type, **headers})
            if request.method == "HEAD":  # the length would cost a rendering
                await response.prepare(request)
                return response
            rendering = await self._sharing.get()
            reader = ScrapeReader(request, rendering, address, asyncio.get_running_loop().time())
            response.content_length = rendering.length(form)
            self._readers[reader] = None
            try:
                await send_pieces(request, response, rendering.blocks(form), self._precedence.breathe)
            finally:
                self._readers.pop(reader, None)
                reader.gone.set()
            return response

    async def _evict_reader(self, address: str) -> None:
        """If no place is free, disconnect the slow reader that has read for longest: of this address if it has used its
        share, else of the address with the most readers.
        """
        full = self._quota.full(address)
        if not full and not self._quota.exhausted:
            return
        before = asyncio.get_running_loop().time() - SLOW_SECONDS
        slow = [one for one in self._readers if one.since <= before and (one.address == address or not full)]
        if not slow:
            return
        counts = Counter(one.address for one in self._readers)
        victim = max(slow, key=lambda one: counts[one.address])
        del self._readers[victim]
        _cut(victim)
        # Its place is free once its handler has noticed the end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SLOW_SECONDS):
                await victim.gone.wait()

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
        """Disconnect readers of the oldest renderings if these exceed `MAX_BUFFERED_BYTES` with the new one."""
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
