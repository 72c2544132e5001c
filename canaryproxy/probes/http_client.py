"""HTTP requests of the control plane to other services, each on a new connection.

Redirects are not followed, proxy variables and cookies are ignored, and failures carry a `Reason`. The server may be
hostile: all bytes count towards the limits, and little is read at a time, so that no response blocks the event loop or
exhausts memory. Nothing is decompressed: limits on received bytes would not limit the result.
"""

import asyncio
import contextlib
import errno
import functools
import socket
import ssl
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler

from canaryproxy.config.schema.hooks import OutboundCallConfig
from canaryproxy.config.schema.outbound import secure, texts
from canaryproxy.config.schema.sources import CheckConfig
from canaryproxy.dataplane.resource_exhaustion import no_descriptor, reachable
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.client import read_address
from canaryproxy.probes.failure_reasons import Reason, Why, ours, reason_of, too_much
from canaryproxy.probes.redaction import MAX_QUOTED_LENGTH, quoted

ContextOf = Callable[[UpstreamTls], ssl.SSLContext]

# Bytes up to the end of the response head, interim responses (1xx) included. Chunk framing may take as much, plus
# twice the body: a byte in a chunk of its own costs as much to read as a thousand in one.
MAX_HEAD_BYTES = 65_536

# Default limit on a response's bytes: enough for health checks, webhooks and JSON; parsed in some milliseconds.
MAX_RESPONSE_BYTES = 131_072

# A timeout that fires later than this multiple of its seconds was delayed by a busy event loop.
LATE_REASON = 1.5

# Receive buffer of the socket, and so the bytes read at once. The kernel doubles the number.
READ = 8_192

# Bytes parsed before yielding to the event loop: some milliseconds' work at worst.
SLICE = 8_192

# Not an interim response: the head of another protocol, which was not requested.
SWITCHED = 101

# Responses that exceeded a limit, in this process.
REFUSED: Counter[Why] = Counter()


class Call(NamedTuple):
    """A request to another service; `seconds` is its timeout."""

    url: str
    headers: Mapping[str, str]
    seconds: float
    tls: UpstreamTls | None = None
    context_of: ContextOf | None = None

    @classmethod
    def configured(
        cls, url: str, config: OutboundCallConfig | CheckConfig, headers: Mapping[str, str], context_of: ContextOf
    ) -> "Call":
        """With the headers, the token, the timeout and the TLS settings of a config."""
        token = {"authorization": f"Bearer {config.secret}"} if config.secret else {}
        tls = secure(urlsplit(url).hostname or "", config.tls) if url.lower().startswith("https:") else None
        return cls(url, {**headers, **dict(texts(config.headers)), **token}, config.timeout, tls, context_of)


class CallFailedError(Exception):
    """There was no usable response; the message says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.words)
        self.reason = reason


class BoundedResponse(ResponseHandler):
    """Accepts `most` bytes in all. Reading is paused until the `TurnScheduler` has parsed what was received."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        super().__init__(loop)
        self._most = most
        self._taken = 0
        self._headed = False
        self._arrived = bytearray()
        self.refused: Reason | None = None

    def data_received(self, data: bytes) -> None:
        """Queue bytes for parsing; with empty `data`, what aiohttp refused to parse before."""
        self._arrived += data
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        turns().wait(self)

    def eof_received(self) -> None:
        """Parse the rest at end of file."""
        self._finish()
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Parse the rest when the connection is lost."""
        self._finish()
        super().connection_lost(exc)

    def parse(self) -> bool:
        """Parse one slice; False where nothing is left."""
        data = bytes(self._arrived[:SLICE])
        del self._arrived[:SLICE]
        if self._parser is not None:
            self._taken += len(data)
        super().data_received(data)
        self._check()
        if not self._arrived and self.transport is not None and not (self._reading_paused or self._buffer_paused):
            self.transport.resume_reading()
        return bool(self._arrived)

    def _finish(self) -> None:
        while self._arrived:
            self.parse()

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A parsed head: of the response, or of an interim one."""
        if data[0].code >= 200 or data[0].code == SWITCHED:
            self._headed = True
        super().feed_data(data, size)

    def _check(self) -> None:
        body = 0 if self._payload is None else self._payload.total_bytes
        if self._taken > MAX_HEAD_BYTES and not self._headed:
            self._refuse(too_much("head", MAX_HEAD_BYTES))
        elif self._taken > self._most:
            self._refuse(too_much("size", self._most))
        elif self._payload is not None and self._taken > MAX_HEAD_BYTES + 2 * body:
            self._refuse(too_much("framing", MAX_HEAD_BYTES))

    def _refuse(self, reason: Reason) -> None:
        if self.refused is not None or self.transport is None:
            return
        self.refused = reason
        self._arrived.clear()
        error = aiohttp.ClientPayloadError(reason.words)
        payload = self._payload
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)
        self.transport.abort()


class TurnScheduler:
    """Parses one slice of one response per iteration of the event loop, however many are in progress."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._waiting: dict[BoundedResponse, None] = {}

    def wait(self, one: BoundedResponse) -> None:
        """Queue a response with unparsed bytes."""
        if not self._waiting:
            self._soon()
        self._waiting[one] = None

    def _soon(self) -> None:
        loop = self._loop()
        if loop is not None:
            loop.call_soon(self._next)

    def _next(self) -> None:
        one = next(iter(self._waiting))
        del self._waiting[one]
        try:
            if one.parse():
                self._waiting[one] = None
        finally:
            if self._waiting:
                self._soon()


_TURNS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, TurnScheduler] = weakref.WeakKeyDictionary()


def turns() -> TurnScheduler:
    """The scheduler of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _TURNS:
        _TURNS[loop] = TurnScheduler(loop)
    return _TURNS[loop]


class _Connector(aiohttp.TCPConnector):
    """Makes connections that enforce the limits."""

    def __init__(self, most: int) -> None:
        super().__init__(socket_factory=_small, force_close=True)
        self.made: list[BoundedResponse] = []
        self._factory = functools.partial(self._measured, most)  # type: ignore[assignment]

    def _measured(self, most: int) -> BoundedResponse:
        self.made.append(BoundedResponse(asyncio.get_running_loop(), most))
        return self.made[-1]

    @property
    def refused(self) -> Reason | None:
        """Why a response was rejected, if one was."""
        return next((one.refused for one in self.made if one.refused is not None), None)


def _small(info: Any) -> socket.socket:
    """A socket with a small receive buffer."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    # A small window makes the server wait, instead of this process buffering its response.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ)
    return made


@contextlib.asynccontextmanager
async def called(
    method: str, call: Call, *, most: int = MAX_RESPONSE_BYTES, **more: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The response, its body not yet read. Raises `CallFailedError`, also while the body is read."""
    connected = False

    async def connect(*_: object) -> None:
        nonlocal connected
        connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connect)
    connector = _Connector(most)
    began = asyncio.get_running_loop().time()
    try:
        if call.tls is not None and call.context_of is not None:
            more |= {"ssl": call.context_of(call.tls), "server_hostname": call.tls.server_name}
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=call.seconds),
                auto_decompress=False,
                headers={"accept-encoding": "identity", **call.headers},
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
            ) as session,
            session.request(method, call.url, allow_redirects=False, **more) as response,
        ):
            yield response
    except (aiohttp.ClientError, OSError, ValueError, MemoryError) as error:
        reason = connector.refused or reason_of(error, call.seconds, connected=connected)
        took = asyncio.get_running_loop().time() - began
        raise CallFailedError(counted(_lacking(reason, error, call.url, took / call.seconds))) from None
    finally:
        await connector.close()


def _lacking(reason: Reason, error: BaseException, url: str, share: float) -> Reason:
    """Replace a reason by a local one where the remote service is not to blame: no local port, no descriptor to read CA
    certificates with, no CPU. `share` is the elapsed part of the timeout.
    """
    if reason.kind == "timeout" and share > LATE_REASON:
        return ours("this process was too busy to read the response")
    if reason.kind == "tls" and no_descriptor():
        return ours("no file descriptor left to read CA certificates")
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    number = getattr(getattr(error, "os_error", error), "errno", None)
    if number == errno.EADDRNOTAVAIL and read_address(host) is not None and reachable(host, port):
        return ours("no local port left")
    return reason


def counted(reason: Reason) -> Reason:
    """The reason, counted in `REFUSED` if a limit was exceeded."""
    if reason.why is not None:
        REFUSED[reason.why] += 1
    return reason


async def first_words(response: aiohttp.ClientResponse, call: Call) -> str:
    """The beginning of the body, redacted, on one line after a colon."""
    said = quoted(await response.content.read(MAX_QUOTED_LENGTH), call.url, call.headers)
    return f": {said}" if said else ""
