"""Hiding secrets in what remote services answer: path and query of the URL (in a chat's webhook they are the secret),
and request headers. Pure.

A service that rejects a request often quotes it ("Cannot POST /services/T00/B00/XXX"), so its words are shown without
those parts.
"""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from canaryproxy.escape import escaped

HIDDEN = "***"

# Shortest value of a header or parameter, and shortest prefix of one, that is hidden.
MIN_SECRET_LENGTH = 4

# Shortest path segment that is hidden; shorter ones are words such as `api`.
MIN_SEGMENT_LENGTH = 8

# Characters of a response that are shown.
MAX_QUOTED_LENGTH = 200

# Request headers that are no secret.
OURS = frozenset(("accept", "connection", "content-type", "host", "user-agent"))


def site(url: str) -> str:
    """Scheme, host and port of a URL, and `/...` in place of the rest, which may be a secret."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    more = "/..." if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{place}{more}"


def quoted(body: bytes, url: str, headers: Mapping[str, str]) -> str:
    """The beginning of a response on one line, without secrets of the request; empty where it is not text."""
    text = " ".join(body.decode("utf-8", "replace").split())
    if "\ufffd" in text[:MAX_QUOTED_LENGTH] or not text[:MAX_QUOTED_LENGTH].isprintable():
        return ""
    return escaped(redacted(text, secrets(url, headers)), MAX_QUOTED_LENGTH)


def secrets(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The parts of a request that may be secret, the longest first."""
    found = {one for one in _of_url(url) if one}
    for name, value in headers.items():
        if name.lower() not in OURS:
            found |= {one for one in (value, *value.split(" ")) if len(one) >= MIN_SECRET_LENGTH}
    found |= {unquote(one) for one in found}
    # The longest first: a secret may be part of another one.
    return tuple(sorted(found, key=len, reverse=True))


def _of_url(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if len(parts.path) > MIN_SECRET_LENGTH:
        yield parts.path
    yield from (one for one in parts.path.split("/") if len(one) >= MIN_SEGMENT_LENGTH)
    yield parts.query
    values = [value for _, value in parse_qsl(parts.query)]
    values += [one.partition("=")[2] for one in parts.query.split("&")]
    yield from (value for value in values if len(value) >= MIN_SECRET_LENGTH)


def redacted(text: str, secret: Iterable[str]) -> str:
    """The text without the secrets, and without a prefix of one at the end, where the text was cut."""
    known = list(secret)
    for one in known:
        text = text.replace(one, HIDDEN)
    for one in known:
        for size in range(min(len(one) - 1, len(text)), MIN_SECRET_LENGTH - 1, -1):
            if text.endswith(one[:size]):
                return text[:-size] + HIDDEN
    return text
