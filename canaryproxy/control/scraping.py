"""What endpoints tell of themselves: their `/metrics`, in the format of Prometheus."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from canaryproxy.config.sources import ResourceConfig
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.table import Endpoint

BEGAN = "process_start_time_seconds"
MOST_BYTES = 8 * 1024 * 1024
TIMEOUT = 5.0
"""Seconds."""


class NoAnswer(Exception):
    """What was asked for could not be had; the message says why."""


Told = tuple[float, float | None]
"""A value, and when the process that tells it began (None if it does not say)."""

Scrape = Callable[[Endpoint, ResourceConfig], Awaitable[Told]]


def told(text: str, name: str) -> Told:
    """The sum of a metric's samples, whatever their labels. Raises `NoAnswer`."""
    lines = [line for line in text.splitlines() if line.startswith((name, BEGAN))]
    try:
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except ValueError as error:
        raise NoAnswer(f"it does not speak Prometheus's format: {error}") from None
    values: dict[str, list[float]] = {name: [], BEGAN: []}
    for family in families:
        for sample in family.samples:
            if sample.name in values:
                values[sample.name].append(sample.value)
    total = sum(values[name])
    if not values[name] or not abs(total) < float("inf"):
        raise NoAnswer(f"it tells no {name}" if not values[name] else f"its {name} is {total}")
    return total, values[BEGAN][0] if values[BEGAN] else None


def over_http(context_of: Callable[[UpstreamTls], ssl.SSLContext]) -> Scrape:
    """Ask an endpoint, each time on a connection of its own: behind one address there may be several processes, and
    only new connections show that.
    """

    async def scrape(endpoint: Endpoint, resource: ResourceConfig) -> Told:
        secure: dict[str, Any] = {}
        scheme, authority = "http", endpoint.authority
        if resource.port is not None:
            authority = Endpoint(endpoint.host, resource.port).authority
        elif endpoint.tls is not None:
            scheme = "https"
            secure = {"ssl": context_of(endpoint.tls), "server_hostname": endpoint.tls.server_name}
        headers = {"Host": endpoint.site, "User-Agent": "canaryproxy-scrape", "Connection": "close"}
        if resource.port is not None:
            del headers["Host"]
        text = await fetch(f"{scheme}://{authority}{resource.scrape}", headers, TIMEOUT, **secure)
        return await asyncio.to_thread(told, text.decode("utf-8", "replace"), resource.counter or resource.gauge or "")

    return scrape


async def fetch(url: str, headers: dict[str, str], timeout: float, **more: Any) -> bytes:  # noqa: ASYNC109
    """The body of a 200. Raises `NoAnswer`."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), headers=headers) as session,
            session.get(url, allow_redirects=False, **more) as response,
        ):
            body = b""
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NoAnswer(f"it answered with more than {MOST_BYTES >> 20} MiB")
            if response.status != 200:
                raise NoAnswer(f"it answered {response.status}{_first_words(body)}")
            return body
    except TimeoutError:
        raise NoAnswer(f"it did not answer within {timeout:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None


def _first_words(body: bytes) -> str:
    """The beginning of what it said to that, in a line."""
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    return f": {text}" if text.isprintable() and text else ""
