"""What one line of the access log says, and its two formats.

An `AccessLogEntry` is plain data that the request path fills in; a format turns it into text later, elsewhere. Clients
choose most of the bytes, so both formats escape whatever could end a line, leave its field or reach a terminal
as a command: a client can neither forge a line nor a field.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from json import JSONEncoder
from typing import NamedTuple

from canaryproxy.escape import escaped, escaped_json
from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead, protocol

MISSING = "-"
"""What the text format says where there is nothing to say."""

RULE = "rule:"
"""How the reason of a decision begins that a rule made; the name of the rule follows."""

_encode = JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class AccessLogEntry(NamedTuple):
    """One finished exchange. Times are seconds, sizes are bytes; empty where no decision was made.

    `client` sent it, as far as trusted proxies say who did; `peer` is the other end of the connection, the client
    itself or a proxy before us. `scheme` is the client's, `http_version` that of its request (10, 11 or 20).
    `request_id` is the one that the version was sent.

    `at` is wall-clock time since the epoch, when the request head was complete; `duration` counts from there to
    the end. `upstream` is the judged latency, the version's own time, None where there is none; `connect` was
    spent opening upstream connections. `status` is what the client got, 499 if it left before. `received` and
    `sent` are body bytes from and to the client. `outcome` is the value of an `Outcome`.
    """

    at: float
    client: bytes
    peer: bytes
    method: bytes
    host: bytes
    target: bytes
    http_version: int
    scheme: bytes
    status: int
    route: str
    version: str
    reason: str
    endpoint: str
    attempts: int
    duration: float
    upstream: float | None
    connect: float
    received: int
    sent: int
    outcome: str
    flags: tuple[str, ...]
    request_id: bytes


def client_fields(client: Client, head: RequestHead | None) -> tuple[bytes, bytes]:
    """Who sent a request, an address or `unknown`, and by which scheme."""
    if head is None or not client.trusted:
        return client.address, client.scheme
    origin = client.origin(head.special)
    return client.address if origin.address is None else str(origin.address).encode("ascii"), origin.scheme


def entry_without_decision(
    at: float, client: Client, head: RequestHead | None, status: int, request_id: bytes
) -> AccessLogEntry:
    """What is said of a request that was answered before any decision; `head` is None if it was not understood."""
    asked = head or RequestHead()
    address, scheme = client_fields(client, head)
    return AccessLogEntry(
        at,
        address,
        client.address,
        asked.method,
        asked.host or b"",
        asked.target,
        asked.version,
        scheme,
        status,
        "",
        "",
        "",
        "",
        0,
        0.0,
        None,
        0.0,
        0,
        0,
        "",
        (),
        request_id,
    )


def as_json(entry: AccessLogEntry) -> str:
    """One JSON object in ASCII, without a newline. Bytes that are not UTF-8 are shown escaped."""
    rule = {"rule": entry.reason.removeprefix(RULE)} if entry.reason.startswith(RULE) else {}
    return escaped_json(
        _encode(
            {
                "time": _timestamp(entry.at),
                "client": _decode(entry.client),
                "peer": _decode(entry.peer),
                "method": _decode(entry.method),
                "scheme": _decode(entry.scheme),
                "host": _decode(entry.host),
                "target": _decode(entry.target),
                "protocol": protocol(entry.http_version),
                "status": entry.status,
                "route": entry.route,
                "version": entry.version,
                "reason": entry.reason,
                **rule,
                "endpoint": entry.endpoint,
                "attempts": entry.attempts,
                "duration_ms": _milliseconds(entry.duration),
                "upstream_ms": None if entry.upstream is None else _milliseconds(entry.upstream),
                "connect_ms": _milliseconds(entry.connect),
                "bytes_in": entry.received,
                "bytes_out": entry.sent,
                "outcome": entry.outcome,
                "flags": entry.flags,
                "request_id": _decode(entry.request_id),
            }
        )
    )


def as_text(entry: AccessLogEntry) -> str:
    """One line to read, without a newline: always the same fields in the same order, `-` for what is missing."""
    version = f"{_field(entry.route)}/{_field(entry.version)}" if entry.route else MISSING
    return (
        f"{_timestamp(entry.at)} {_field(entry.client)}"
        f' "{_field(entry.method)} {_field(entry.host)}{_field(entry.target, "")}"'
        f" {entry.status} {entry.duration * 1000:.1f}ms {entry.sent}B"
        f" {version} {_field(entry.reason)} {_field(entry.endpoint)}"
        f" outcome={_field(entry.outcome)} peer={_field(entry.peer)}"
        f" id={_field(entry.request_id)} flags={_field(','.join(entry.flags))}"
    )


def shortened(entry: AccessLogEntry, most: int) -> AccessLogEntry:
    """The same with at most so many bytes of each text of the client, and a sign where something is left out."""
    texts = {name: value for name in OF_CLIENTS if len(value := getattr(entry, name)) > most}
    return entry._replace(**{name: value[:most] + b"..." for name, value in texts.items()})


OF_CLIENTS = ("method", "host", "target", "request_id")

FORMATS: dict[str, Callable[[AccessLogEntry], str]] = {"json": as_json, "text": as_text}
"""The formats by the names that a config gives them."""


def dropped_line(render: Callable[[AccessLogEntry], str], dropped: int, at: float) -> str:
    """The line that stands for `dropped` entries, reported at wall-clock second `at`, in the format of `render`."""
    if render is as_json:
        return _encode({"time": _timestamp(at), "dropped": dropped})
    return f"{_timestamp(at)} dropped={dropped}"


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _field(value: bytes | str, missing: str = MISSING) -> str:
    """A value that stays within its field: no space, bare quote or backslash, nothing that does not print."""
    if not value:
        return missing
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return escaped(_decode(raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b" ", b"\\x20")))
