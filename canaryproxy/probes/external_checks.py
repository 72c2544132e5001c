"""External checks: a metric queried from Prometheus, or from any service that answers in JSON."""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from canaryproxy.config.schema.sources import ROUTE, VERSION, CheckConfig
from canaryproxy.model.table import VersionName
from canaryproxy.probes.http_client import Call, ContextOf
from canaryproxy.probes.scrape import ScrapeError, fetch

# Characters of a number written as a string.
MAX_NUMBER_LENGTH = 100

# (check, route, version) -> the metric's value.
Ask = Callable[[CheckConfig, str, VersionName], Awaitable[float]]


def over_http(context_of: ContextOf) -> Ask:
    """Query over HTTP, with the token, the headers and the TLS settings of the check."""

    async def ask(check: CheckConfig, route: str, version: VersionName) -> float:
        """The value of a check for one version. Raises `ScrapeError`."""
        if check.prometheus is not None:
            url = f"{check.prometheus.rstrip('/')}/api/v1/query"
            more = {"params": {"query": filled(check.query or "", route, version)}}
        else:
            url, more = filled(check.url or "", route, version), {}
        headers = {"user-agent": "canaryproxy-check", "accept": "application/json"}
        answer = decoded(await fetch(Call.configured(url, check, headers, context_of), **more))
        return json_number(answer, check.field) if check.prometheus is None else prometheus_number(answer)

    return ask


def filled(text: str, route: str, version: VersionName) -> str:
    """Replace the placeholders of version and route."""
    return text.replace(VERSION, version).replace(ROUTE, route)


def decoded(body: bytes) -> Any:
    """Parse JSON. Raises `ScrapeError`."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ScrapeError("response is not JSON") from None


def prometheus_number(answer: Any) -> float:
    """The single number of an instant query's result. Raises `ScrapeError`."""
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return finite(result[1])
        if not isinstance(kind, str):
            raise ScrapeError("not a Prometheus response")
        if kind != "vector":
            raise ScrapeError(f"query returned a {kind}, not a number")
        if len(result) != 1:
            raise ScrapeError(f"query returned {len(result)} series, not one" if result else "query returned no data")
        return finite(result[0]["value"][1])
    except (KeyError, TypeError, IndexError):
        raise ScrapeError("not a Prometheus response") from None


def json_number(answer: Any, pointer: str) -> float:
    """The number at a JSON pointer (RFC 6901); true is 1, false is 0. Raises `ScrapeError`."""
    for part in pointer.split("/")[1:]:
        # In this order: RFC 6901, section 4.
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            answer = answer[int(key)] if isinstance(answer, list) else answer[key]
        except (KeyError, TypeError, IndexError, ValueError):
            raise ScrapeError(f"response has no {pointer}") from None
    return finite(answer)


def finite(value: object) -> float:
    """A finite number, also from a string, as Prometheus writes them. Raises `ScrapeError`."""
    if isinstance(value, (int, float, str)) and not (isinstance(value, str) and len(value) > MAX_NUMBER_LENGTH):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ScrapeError(f"not a number: {_shown(value)}")


def _shown(value: object) -> str:
    """A short description of a value that is no number."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value[:50] if isinstance(value, str) else value)[:50]
