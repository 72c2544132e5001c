"""One request of the control plane to another service over HTTP, each on a connection of its own.

Redirects are not followed, proxies of the environment are not used. What fails, fails with a `Reason`.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from canaryproxy.control.reasons import Reason, reason_of
from canaryproxy.model.certificate import UpstreamTls

ContextOf = Callable[[UpstreamTls], ssl.SSLContext]


class Failed(Exception):
    """There was no answer that can be used; the message says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.words)
        self.reason = reason


@contextlib.asynccontextmanager
async def called(
    method: str, url: str, headers: Mapping[str, str], seconds: float, tls: UpstreamTls | None = None,
    context_of: ContextOf | None = None, **more: Any,
) -> AsyncIterator[aiohttp.ClientResponse]:  # fmt: skip
    """The response, whose body is still to come. Raises `Failed`, also where the body is read."""
    connected = False

    async def connect(*_: object) -> None:
        nonlocal connected
        connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connect)
    if tls is not None and context_of is not None:
        more |= {"ssl": context_of(tls), "server_hostname": tls.server_name}
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, trace_configs=[trace]) as session,
            session.request(method, url, allow_redirects=False, **more) as response,
        ):
            yield response
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Failed(reason_of(error, seconds, connected=connected)) from None


def host_of(url: str) -> str:
    """The host of a URL, as its certificate is to name it."""
    return urlsplit(url).hostname or ""


def is_secure(url: str) -> bool:
    """Whether a URL asks for TLS."""
    return url.lower().startswith("https:")
