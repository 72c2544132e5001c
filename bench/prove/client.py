"""A small HTTP/1.1 load client that tells a failed request from one that was never the proxy's to answer.

A connection refused, or closed while no byte of a request was on it, is not a failure: the client goes
elsewhere. A reset or an end after a request was sent, a wrong status or a wrong body is.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What all clients of a load saw. `failures` says what went wrong, one text each."""

    answered: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


GET = b"GET /ping HTTP/1.1\r\nHost: prove.test\r\n\r\n"
POST = b"POST /ping HTTP/1.1\r\nHost: prove.test\r\nContent-Length: 11\r\n\r\nhello there"


async def keep_asking(port: int, bodies: set[bytes], tally: Tally, stop: asyncio.Event) -> None:
    """Send GETs and POSTs over keep-alive connections until `stop`, or until connections are refused."""
    number = 0
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            tally.refused += 1
            return
        with contextlib.closing(writer):
            while not stop.is_set():
                number += 1
                if reader.at_eof():
                    break
                try:
                    again = await _ask(reader, writer, POST if number % 4 == 0 else GET, bodies, tally)
                except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                    tally.failures.append(repr(error))
                    break
                if not again:
                    break


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, bodies: set[bytes], tally: Tally
) -> bool:
    """One request and its answer; whether the connection may be used again."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    body = await reader.readexactly(int(fields[b"content-length"]))
    if not head.startswith(b"HTTP/1.1 200 ") or body not in bodies:
        tally.failures.append(f"{head[:60]!r} {body[:40]!r}")
    tally.answered += 1
    return fields.get(b"connection") != b"close"
