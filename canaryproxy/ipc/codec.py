"""Messages to bytes and back: a frame is its length, the version, the kind, and the message in MessagePack.

What comes in is checked against the types, the kinds that this end takes, and a length for each direction: a worker
that was taken over through the bytes it parses can send wrong numbers and names (`control.bounds` looks at those), not
wrong types. Nothing is ever executed, unlike with pickle. An introduction is JSON under a number of its own, so that it
is understood across versions. The only home of msgspec.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from canaryproxy.ipc import messages
from canaryproxy.ipc.messages import Message
from canaryproxy.model.report import Delta

HEADER = struct.Struct("!IBB")

MAX_DOWN_BYTES = 2**28
"""Bytes of a frame to a worker; a table with a million rules stays below."""

MAX_UP_BYTES = 2**22
"""Bytes of a frame from a worker. Reports that are longer than `PORTION`, or have more than `ENTRIES` of something, are
sent in parts."""

MAX_INTRODUCTION_BYTES = 2**13
"""Bytes of an introduction: a path of 4,096 bytes fits, and little more."""

PORTION = 2**19
ENTRIES = 2**12

KINDS: tuple[type[Message], ...] = (
    messages.WorkerConfig,
    messages.Publication,
    messages.Certificates,
    messages.Drain,
    Delta,
    messages.Acknowledged,
    messages.Drained,
)

INTRODUCTION = 255
"""The kind of an introduction, in every version."""


@dataclass(frozen=True)
class Direction:
    """What may come along a link on one of its ways: kinds of messages, and bytes of a frame."""

    kinds: tuple[type[Message], ...]
    longest: int


DOWN = Direction((messages.WorkerConfig, messages.Publication, messages.Certificates, messages.Drain), MAX_DOWN_BYTES)
UP = Direction((messages.Introduction, Delta, messages.Acknowledged, messages.Drained), MAX_UP_BYTES)
ANY = Direction((*KINDS, messages.Introduction), MAX_DOWN_BYTES)

T = TypeVar("T")

KIND_NUMBERS = 300
"""Characters that are said of what is no message."""

_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_ENCODER = msgspec.msgpack.Encoder()
_INTRODUCTIONS = msgspec.json.Decoder(messages.Introduction)
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in KINDS]


class ProtocolError(Exception):
    """The other end does not speak this version of the link, or sends what is no message."""


def encode(message: Message) -> bytes:
    """The frame of a message."""
    if isinstance(message, messages.Introduction):
        payload = msgspec.json.encode(message)
        return HEADER.pack(len(payload), messages.VERSION, INTRODUCTION) + payload
    payload = _ENCODER.encode(message)
    return HEADER.pack(len(payload), messages.VERSION, _NUMBERS[type(message)]) + payload


def frames(message: Message) -> Iterator[bytes]:
    """The frames that say it: one, but for a report that is too long for one. Its parts add up to it."""
    data = encode(message)
    if isinstance(message, Delta) and (entries(message) > ENTRIES or _too_long(data, message)):
        for part in split_delta(message):
            yield from frames(part)
    else:
        yield data


def _too_long(data: bytes, delta: Delta) -> bool:
    """Whether it is shorter in parts. What stands at the moment is in each of them, however long: thousands of requests
    that wait, in an outage.
    """
    if len(data) <= PORTION or entries(delta) < 2:
        return False
    return len(data) - len(encode(replace(delta, cells=(), users=(), goals=(), mirrors=()))) > PORTION


def entries(delta: Delta) -> int:
    """The length of the longest list that may be sent in parts."""
    return max(map(len, (delta.cells, delta.users, delta.goals, delta.mirrors)))


def split_delta(delta: Delta) -> tuple[Delta, Delta]:
    """Two reports that say the same: counts are added up, and what stands at the moment is in both."""

    def cut(many: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
        middle = (len(many) + 1) // 2
        return many[:middle], many[middle:]

    cells, users, goals, mirrors = cut(delta.cells), cut(delta.users), cut(delta.goals), cut(delta.mirrors)
    return (
        replace(delta, cells=cells[0], users=users[0], goals=goals[0], mirrors=mirrors[0]),
        replace(
            delta,
            cells=cells[1],
            users=users[1],
            goals=goals[1],
            mirrors=mirrors[1],
            refused={},
            turned_away={},
            evicted={},
            shed=0,
        ),
    )


class Decoder:
    """Bytes in any portions to messages, of those that may come this way."""

    def __init__(self, direction: Direction = ANY) -> None:
        self._buffer = bytearray()
        self._direction = direction

    def __repr__(self) -> str:
        return f"<Decoder {len(self._buffer)} bytes waiting>"

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. Raises `ProtocolError`."""
        self.take(data)
        return self.messages()

    def take(self, data: bytes) -> None:
        """More bytes."""
        self._buffer += data

    def messages(self) -> Iterator[Message]:
        """The messages that are complete. A caller that stops half-way gets the rest with the next call. Raises
        `ProtocolError`.
        """
        buffer = self._buffer
        while len(buffer) >= HEADER.size:
            length, version, kind = HEADER.unpack_from(buffer)
            self._check(length, version, kind)
            end = HEADER.size + length
            if len(buffer) < end:
                return
            payload = bytes(memoryview(buffer)[HEADER.size : end])
            del buffer[:end]
            yield decode(kind, payload)

    def _check(self, length: int, version: int, kind: int) -> None:
        """By its header alone, before any more of it is kept."""
        introduced = kind == INTRODUCTION
        if not introduced and (version != messages.VERSION or kind >= len(KINDS)):
            raise ProtocolError(f"a frame of version {version}, kind {kind}, {length} bytes")
        what = messages.Introduction if introduced else KINDS[kind]
        if what not in self._direction.kinds:
            raise ProtocolError(f"{what.__name__} does not come this way")
        longest = MAX_INTRODUCTION_BYTES if introduced else self._direction.longest
        if length > longest:
            raise ProtocolError(f"{what.__name__} of {length} bytes, at most {longest} are allowed")


def decode(kind: int, payload: bytes) -> Message:
    """One message. Raises `ProtocolError`.

    What is nested too deeply for the stack is a `RecursionError` even where it stands under a name that is not read.
    """
    try:
        return (_INTRODUCTIONS if kind == INTRODUCTION else _DECODERS[kind]).decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError, MemoryError) as error:
        raise ProtocolError(ascii(str(error))[1:-1][:KIND_NUMBERS]) from None
