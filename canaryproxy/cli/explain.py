"""`canaryproxy explain`: the version of a request, and the reason."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from canaryproxy.cli.output import say, say_json

if TYPE_CHECKING:
    from canaryproxy.config import Config
    from canaryproxy.model.client import Client
    from canaryproxy.model.head import RequestHead
    from canaryproxy.routing.explain import Explanation


def explain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Config file.")],
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Request method, such as GET.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="URL with host and path, or a path.")],
    *,
    header: Annotated[list[str] | None, typer.Option(help="A header, 'name: value'. Repeatable.")] = None,
    cookie: Annotated[list[str] | None, typer.Option(help="A cookie, name=value. Repeatable.")] = None,
    source: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which version a request would get, and why, rule by rule.

    The decision is made by the code of the proxy. No request is sent.

    `canaryproxy explain shop.yaml --header 'x-internal-tester: true' GET http://shop.example.com/cart`
    """
    from canaryproxy.config import ConfigError, load

    try:
        loaded = load(config, os.environ)
    except ConfigError as error:
        say(*map(str, error.problems), err=True)
        raise typer.Exit(1) from None
    data = explanation(loaded, request_head(method, url, header or [], cookie or []), client(loaded, url, source))
    if as_json:
        say_json(as_data(data))
    else:
        say(*as_lines(data))
    if data is None:
        raise typer.Exit(1)


def request_head(method: str, url: str, headers: list[str], cookies: list[str]) -> "RequestHead":
    """The parsed request. Raises `typer.BadParameter` if the proxy would refuse it."""
    from urllib.parse import urlsplit

    from canaryproxy.http.h1.request_parser import RequestParser
    from canaryproxy.model.failure import RequestRejectedError
    from canaryproxy.model.head import RequestHead
    from canaryproxy.model.settings import Limits

    parts = urlsplit("" if url.startswith(("/", "*")) else url)
    target = url if not parts.netloc else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", *headers, *(f"Cookie: {cookie}" for cookie in cookies)]
    if not any(header.lower().startswith("host:") for header in headers):
        lines.insert(1, f"Host: {parts.netloc or 'localhost'}")
    text = "\r\n".join(lines)
    if any(":" not in header for header in headers) or text.count("\n") >= len(lines):
        raise typer.BadParameter("write a header as 'name: value'")
    reader = RequestParser(Limits())
    reader.feed(f"{text}\r\n\r\n".encode())
    try:
        head = reader.next()
    except RequestRejectedError as refused:
        raise typer.BadParameter(f"the proxy would answer {refused.failure.status}: {refused.why}") from None
    if not isinstance(head, RequestHead):
        raise typer.BadParameter("not a complete request")
    return head


def client(config: "Config", url: str, source: str) -> "Client":
    """The client: its address, and the scheme of the URL."""
    from canaryproxy.model.client import Client, read_address

    if read_address(source) is None:
        raise typer.BadParameter(f"{source} is not an IP address", param_hint="--source")
    scheme = b"https" if url.lower().startswith("https:") else b"http"
    return Client(source, scheme, config.server.trusted_proxies, config.server.forwarding)


def explanation(config: "Config", head: "RequestHead", sender: "Client") -> "Explanation | None":
    """The decision of the config's routing table; None if no route matches."""
    import random

    from canaryproxy.control.compile import compile_table
    from canaryproxy.routing.explain import explain as explain_request
    from canaryproxy.routing.route_index import RouteIndex

    return explain_request(RouteIndex(compile_table(config, 1)), head, sender, random.random)


def as_data(data: "Explanation | None") -> dict[str, object]:
    """The decision as JSON data; `version` is null if each request draws a new bucket."""
    if data is None:
        return {"route": None, "version": None, "reason": "no_route", "sentence": "no route has this host and path"}
    return {
        "route": data.route,
        "version": data.version,
        "reason": data.reason,
        "canary_percent": data.share / 100,
        "bucket": data.bucket,
        "below": data.weight,
        "new_cookie": data.fresh,
        "rules": [asdict(rule) for rule in data.rules],
        "sentence": data.sentence,
    }


def as_lines(data: "Explanation | None") -> list[str]:
    """The decision as text."""
    if data is None:
        return ["404: no route has this host and path"]
    lines = [data.sentence, f"route {data.route}, reason {data.reason}"]
    if data.bucket is not None:
        lines.append(f"bucket {data.bucket} of 0 to 9999, compared with {data.weight}")
    lines += [f"{'->' if rule.decides else '  '} rule {rule.name}: {rule.why}" for rule in data.rules]
    return lines
