"""Scraping `/metrics` of endpoints in the Prometheus text format.

An endpoint may be hostile. Its response is filtered as it arrives, a few kilobytes at a time; only lines of the wanted
metric are kept, limited in number and length, and are parsed in steps.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from canaryproxy.config.schema.outbound import secure, texts
from canaryproxy.config.schema.sources import ResourceConfig
from canaryproxy.escape import escaped
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.failure_reasons import Reason, answered, one_line
from canaryproxy.probes.http_client import Call, CallFailedError, ContextOf, called, counted, first_words
from canaryproxy.probes.redaction import MAX_QUOTED_LENGTH

BEGAN = "process_start_time_seconds"

# Bytes of a response that are read. Of the exporters we know only a proxy of a large mesh sends more.
MAX_BYTES = 4 * 1024 * 1024

# Lines of the wanted metric.
MAX_SAMPLES = 10_000

# Bytes of one line: the parser takes time quadratic in its length.
MAX_LINE_BYTES = 4_096

# Bytes of all kept lines.
MAX_KEPT_BYTES = 1024 * 1024

# Bytes parsed before yielding to the event loop.
STEP = 4_096

READ = 65_536

# Seconds.
TIMEOUT_SECONDS = 5.0


class ScrapeError(Exception):
    """A metric could not be read; the message says why, in a line of bounded length that may quote the response."""

    def __init__(self, words: str) -> None:
        super().__init__(escaped(words, MAX_QUOTED_LENGTH))


# The value, and the start time of the process (None where it is not exported).
SampleValues = tuple[float, float | None]

Scrape = Callable[[Endpoint, ResourceConfig], Awaitable[SampleValues]]


class SampleFilter:
    """The lines of one metric, filtered from a text that arrives in pieces."""

    def __init__(self, name: str) -> None:
        self._name = name
        names = b"|".join(re.escape(one.encode()) for one in (name, BEGAN))
        self._pattern = re.compile(rb"^(?:%b)[{ \t].*" % names, re.MULTILINE)
        self._rest = b""
        self._skipping = False
        self._kept = 0
        self.lines: list[str] = []

    def __repr__(self) -> str:
        return f"<SampleFilter of {self._name}, {len(self.lines)} lines>"

    def feed(self, data: bytes) -> None:
        """Add a piece of the text. Raises `ScrapeError`."""
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        begin = text.find(b"\n") + 1 if self._skipping else 0
        if end:
            self._skipping = False
            for found in self._pattern.finditer(text, begin, end):
                self._keep(found[0])
        self._rest = b"" if self._skipping else text[end:]
        if len(self._rest) > MAX_LINE_BYTES:
            if self._pattern.match(self._rest):
                self._keep(self._rest)
            # The rest of an overlong line is skipped: no line ending must mean no unbounded buffer.
            self._rest, self._skipping = b"", True

    def end(self) -> None:
        """The text is complete. Raises `ScrapeError`."""
        self.feed(b"\n")

    def _keep(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise ScrapeError(f"a line of {self._name} is longer than {MAX_LINE_BYTES} bytes")
        self._kept += len(line)
        if len(self.lines) >= MAX_SAMPLES or self._kept > MAX_KEPT_BYTES:
            most = f"{MAX_SAMPLES} samples, or {MAX_KEPT_BYTES >> 10} KiB of them"
            raise ScrapeError(f"too many samples of {self._name}: more than {most}")
        self.lines.append(line.rstrip(b"\r").decode("utf-8", "replace"))

    async def values(self) -> SampleValues:
        """The sum of the metric's samples over all labels. Raises `ScrapeError`."""
        total, count, began = 0.0, 0, None
        for lines in _steps(self.lines):
            for name, value in _parsed(lines):
                if name == self._name:
                    total, count = total + value, count + 1
                if name == BEGAN and began is None:
                    began = value
            await asyncio.sleep(0)
        if not count or not abs(total) < float("inf"):
            raise ScrapeError(f"{self._name} is {total}" if count else f"no metric {self._name}")
        return total, began


def _steps(lines: Sequence[str]) -> Iterator[list[str]]:
    """Groups of lines short enough to be parsed within some milliseconds."""
    step: list[str] = []
    size = 0
    for line in lines:
        if step and size + len(line) > STEP:
            yield step
            step, size = [], 0
        step.append(line)
        size += len(line)
    if step:
        yield step


def _parsed(lines: list[str]) -> list[tuple[str, float]]:
    """(name, value) of each sample. Raises `ScrapeError`."""
    try:
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise ScrapeError(f"invalid Prometheus format: {one_line(str(error))}") from None
    return [(sample.name, sample.value) for family in families for sample in family.samples]


def over_http(context_of: ContextOf) -> Scrape:
    """Scrape an endpoint, each time on a new connection: one address may have several processes behind it."""

    async def scrape(endpoint: Endpoint, resource: ResourceConfig) -> SampleValues:
        at, tls = endpoint, endpoint.tls
        headers = {"host": endpoint.site}
        if resource.port is not None:
            at = replace(endpoint, port=resource.port)
            tls = None if resource.tls is None else secure(endpoint.name or endpoint.host, resource.tls)
            headers = {} if not endpoint.name or tls is None else {"host": at.site}
        headers |= {"user-agent": "canaryproxy-scrape", **dict(texts(resource.headers)), "connection": "close"}
        url = f"{'http' if tls is None else 'https'}://{at.authority}{resource.scrape}"
        wanted = SampleFilter(resource.counter or resource.gauge or "")
        await read(Call(url, headers, TIMEOUT_SECONDS, tls, context_of), wanted.feed, most=MAX_BYTES)
        wanted.end()
        return await wanted.values()

    return scrape


async def fetch(call: Call, **more: Any) -> bytes:
    """The body of a response with status 200. Raises `ScrapeError`."""
    body = bytearray()
    await read(call, body.extend, **more)
    return bytes(body)


async def read(call: Call, take: Callable[[bytes], None], **more: Any) -> None:
    """Pass the body of a response with status 200 to `take`, in pieces. Raises `ScrapeError`."""
    try:
        async with called("GET", call, **more) as response:
            if response.status != 200:
                raise ScrapeError(f"{answered(response.status)}{await first_words(response, call)}")
            how = response.headers.get("Content-Encoding", "identity").strip().lower()
            if how not in ("", "identity"):
                # Decompressed, a response might be of any size.
                words = f"unrequested content encoding {one_line(how)}"
                raise ScrapeError(str(counted(Reason("too_much", words, "encoded"))))
            async for piece in response.content.iter_chunked(READ):
                take(piece)
                await asyncio.sleep(0)
    except CallFailedError as error:
        raise ScrapeError(str(error)) from None
