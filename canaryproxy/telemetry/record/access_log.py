"""The entries of the access log and their two formats.

The request path fills in an `AccessLogEntry`; the writer's thread formats it later. Clients choose most of the bytes,
so both formats escape everything that could end a line or a field or act as a terminal command.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from json import JSONEncoder
from typing import NamedTuple

from canaryproxy.escape import escaped, escaped_json
from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead, protocol

# An empty field in the text format.
MISSING = "-"

# Prefix of the reason of a decision by a rule; the name of the rule follows.
RULE = "rule:"

_encode = JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class AccessLogEntry(NamedTuple):
    """One finished exchange. Times in seconds, sizes in bytes; fields of the decision are empty without a decision.

    `client` is the address according to trusted proxies, `peer` that of the connection: the client or a proxy. `scheme`
    is the client's, `http_version` that of its request (10, 11 or 20). `request_id` was sent to the version.

    `at` is the wall-clock time since the epoch when the request head was complete; `duration` counts from there.
    `upstream` is the judged latency, the version's own time, or None; `connect` was spent opening upstream connections.
    `status` is the client's, 499 if it left early. `received` and `sent` are body bytes from and to the client.
    `outcome` is the value of an `Outcome`.
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
    route: str = ""
    version: str = ""
    reason: str = ""
    endpoint: str = ""
    attempts: int = 0
    duration: float = 0.0
    upstream: float | None = None
    connect: float = 0.0
    received: int = 0
    sent: int = 0
    outcome: str = ""
    flags: tuple[str, ...] = ()
    request_id: bytes = b""


def client_fields(client: Client, head: RequestHead | None) -> tuple[bytes, bytes]:
    """The client's address, or `unknown`, and its scheme."""
    if head is None or not client.trusted:
        return client.address, client.scheme
    origin = client.origin(head.special)
    return client.address if origin.address is None else str(origin.address).encode("ascii"), origin.scheme


def entry_without_decision(
    at: float, client: Client, head: RequestHead | None, status: int, request_id: bytes
) -> AccessLogEntry:
    """The entry of a request answered without a decision; `head` is None if it could not be parsed."""
    asked = head or RequestHead()
    address, scheme = client_fields(client, head)
    request = asked.method, asked.host or b"", asked.target, asked.version
    return AccessLogEntry(at, address, client.address, *request, scheme, status, request_id=request_id)


def as_json(entry: AccessLogEntry) -> str:
    """One JSON object in ASCII, without a newline. Bytes that are not UTF-8 are escaped."""
    rule = {"rule": entry.reason.removeprefix(RULE)} if entry.reason.startswith(RULE) else {}
    document = {
        "time": _timestamp(entry.at),
        **{name: _decode(getattr(entry, name)) for name in ("client", "peer", "method", "scheme", "host", "target")},
        "protocol": protocol(entry.http_version),
        **{name: getattr(entry, name) for name in ("status", "route", "version", "reason")},
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
    return escaped_json(_encode(document))


def as_text(entry: AccessLogEntry) -> str:
    """One line of text, without a newline: always the same fields in the same order, `-` for an empty one."""
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
    """The entry with at most `most` bytes of each text of the client; `...` marks omitted bytes."""
    texts = {name: value for name in OF_CLIENTS if len(value := getattr(entry, name)) > most}
    return entry._replace(**{name: value[:most] + b"..." for name, value in texts.items()})


OF_CLIENTS = ("method", "host", "target", "request_id")

# The formats by the names that a config gives them.
FORMATS: dict[str, Callable[[AccessLogEntry], str]] = {"json": as_json, "text": as_text}


def dropped_line(render: Callable[[AccessLogEntry], str], dropped: int, at: float) -> str:
    """The line that reports `dropped` entries at wall-clock second `at`, in the format of `render`."""
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
    """A value as one field: spaces, quotes, backslashes and unprintable characters are escaped."""
    if not value:
        return missing
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return escaped(_decode(raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b" ", b"\\x20")))
