"""Feeding readers and writing events down, for all codec tests."""

import itertools
from collections.abc import Iterable

from canaryproxy.http.h1.body import BodyEnd
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.model.failure import RequestRejectedError
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.settings import Limits

Event = tuple[object, ...]


def seen(event: RequestHead | ResponseHead | bytes | BodyEnd) -> Event:
    """An event as something to compare."""
    if isinstance(event, RequestHead):
        return (
            "request",
            event.method,
            event.target,
            event.version,
            event.host,
            event.plain,
            tuple(event.special),
            event.body.name,
            event.length,
            event.close,
        )
    if isinstance(event, ResponseHead):
        return (
            "response",
            event.status,
            event.reason,
            event.version,
            event.plain,
            tuple(event.special),
            event.body.name,
            event.length,
            event.close,
        )
    return ("end", event.trailers) if isinstance(event, BodyEnd) else ("data", event)


def joined(events: Iterable[Event]) -> list[Event]:
    """Adjacent pieces of payload as one."""
    result: list[Event] = []
    for event in events:
        if event[0] == "data" and result and result[-1][0] == "data":
            result[-1] = ("data", result[-1][1] + event[1])  # type: ignore[operator]
        else:
            result.append(event)
    return result


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(places) if end > begin]


def requests(parts: Iterable[bytes], limits: Limits | None = None) -> list[Event]:
    """Everything a request reader yields, a refusal last."""
    return _events(RequestParser(limits or Limits()), parts)


def responses(parts: Iterable[bytes], method: bytes = b"GET") -> list[Event]:
    """Everything a response reader yields for one response, a refusal last."""
    reader = ResponseParser()
    reader.expect(method)
    return _events(reader, parts)


def _events(reader: RequestParser | ResponseParser, parts: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    try:
        for part in parts:
            reader.feed(part)
            while (event := reader.next()) is not None:
                events.append(seen(event))
    except RequestRejectedError as refused:
        events.append(("refused", refused.failure.name))
    return joined(events)


def bytewise(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[index : index + 1] for index in range(len(data))]
