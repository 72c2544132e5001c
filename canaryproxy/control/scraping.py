"""What endpoints tell of themselves: their `/metrics`, in the format of Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from canaryproxy.config.outbound import secure, texts
from canaryproxy.config.sources import ResourceConfig
from canaryproxy.control.calling import ContextOf, Failed, called
from canaryproxy.control.reasons import answered
from canaryproxy.control.redaction import LONGEST, quoted
from canaryproxy.escape import escaped
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.table import Endpoint

BEGAN = "process_start_time_seconds"
MOST_BYTES = 8 * 1024 * 1024
TIMEOUT = 5.0
"""Seconds."""


class NoAnswer(Exception):
    """What was asked for could not be had; the message says why, in a line of bounded length: part of it is what was
    answered.
    """

    def __init__(self, words: str) -> None:
        super().__init__(escaped(words, LONGEST))


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


def over_http(context_of: ContextOf) -> Scrape:
    """Ask an endpoint, each time on a connection of its own: behind one address there may be several processes, and
    only new connections show that.
    """

    async def scrape(endpoint: Endpoint, resource: ResourceConfig) -> Told:
        at, tls = endpoint, endpoint.tls
        headers = {"host": endpoint.site}
        if resource.port is not None:
            at = replace(endpoint, port=resource.port)
            tls = None if resource.tls is None else secure(endpoint.name or endpoint.host, resource.tls)
            headers = {} if not endpoint.name or tls is None else {"host": at.site}
        headers |= {"user-agent": "canaryproxy-scrape", **dict(texts(resource.headers)), "connection": "close"}
        url = f"{'http' if tls is None else 'https'}://{at.authority}{resource.scrape}"
        text = await fetch(url, headers, TIMEOUT, tls, context_of)
        return await asyncio.to_thread(told, text.decode("utf-8", "replace"), resource.counter or resource.gauge or "")

    return scrape


async def fetch(
    url: str, headers: Mapping[str, str], seconds: float, tls: UpstreamTls | None = None,
    context_of: ContextOf | None = None, **more: Any,
) -> bytes:  # fmt: skip
    """The body of a 200. Raises `NoAnswer`."""
    try:
        async with called("GET", url, headers, seconds, tls, context_of, **more) as response:
            body = b""
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NoAnswer(f"it answered with more than {MOST_BYTES >> 20} MiB")
            if response.status != 200:
                said = quoted(body, url, headers)
                raise NoAnswer(f"{answered(response.status)}{f': {said}' if said else ''}")
            return body
    except Failed as error:
        raise NoAnswer(str(error)) from None
