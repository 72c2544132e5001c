"""One line of the access log for each exchange that is over, for machines or for people. Pure.

Clients choose most of the bytes in it. Whatever they send, a line is valid UTF-8, ends where it should, and holds
nothing that a terminal obeys: such characters are shown escaped.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

RULE = "rule:"


class Entry(NamedTuple):
    """One exchange. `at` is when its request was complete, in seconds since the epoch; other times are seconds.

    `status` is what the client got, 499 if it had left. `route`, `version`, `reason` and `outcome` are empty
    where no decision was made. `endpoint` is the one that was asked last. `upstream` is the version's own time,
    None where there is none to judge; `connect` went into opening connections. `received` and `sent` are body
    bytes, in a tunnel all bytes. `flags` say what was out of the ordinary.
    """

    at: float
    client: bytes
    method: bytes
    scheme: bytes
    host: bytes
    target: bytes
    minor: int
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


Render = Callable[[Entry], str]


def as_json(entry: Entry) -> str:
    """One JSON object; times in milliseconds."""
    fields: dict[str, object] = {
        "time": _time(entry.at),
        "client": _text(entry.client),
        "method": _text(entry.method),
        "scheme": _text(entry.scheme),
        "host": _text(entry.host),
        "target": _text(entry.target),
        "protocol": f"HTTP/1.{entry.minor}",
        "status": entry.status,
        "route": entry.route,
        "version": entry.version,
        "reason": entry.reason,
    }
    if entry.reason.startswith(RULE):
        fields["rule"] = entry.reason.removeprefix(RULE)
    fields |= {
        "endpoint": entry.endpoint,
        "attempts": entry.attempts,
        "duration_ms": _milliseconds(entry.duration),
        "upstream_ms": None if entry.upstream is None else _milliseconds(entry.upstream),
        "connect_ms": _milliseconds(entry.connect),
        "bytes_in": entry.received,
        "bytes_out": entry.sent,
        "outcome": entry.outcome,
        "flags": entry.flags,
        "request_id": _text(entry.request_id),
    }
    return json.dumps(fields, separators=(",", ":"))


def as_text(entry: Entry) -> str:
    """Who asked for what, what they got and how fast, from whom and why; `-` for what there is not."""
    asked = _quoted(b"%b %b%b" % (entry.method, entry.host, entry.target))
    side = f"{entry.route}/{entry.version}" if entry.version else "-"
    flags = f" [{','.join(entry.flags)}]" if entry.flags else ""
    got = f"{entry.status} {entry.duration * 1000:.1f}ms {entry.sent}B"
    why = f"{side} {entry.reason or '-'} {entry.endpoint or '-'} {entry.outcome or '-'}"
    request_id = _quoted(entry.request_id) or "-"
    return f'{_time(entry.at)} {_quoted(entry.client)} "{asked}" {got} {why} id={request_id}{flags}'


FORMATS: Mapping[str, Render] = {"json": as_json, "text": as_text}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _quoted(value: bytes) -> str:
    escaped = _text(value).replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in escaped)
