"""Encodes messages as frames: length, version, kind, and the message in MessagePack.

Received frames are checked against the types, the kinds allowed at this end, and a length per direction. A compromised
worker can therefore send wrong numbers and names (`processes.message_validation` checks those), but not wrong types;
nothing is executed, unlike with pickle. An introduction is JSON under its own number, so that every version understands
it. The only module that uses msgspec.
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

# Longest frame to a worker in bytes; a table with a million rules fits.
MAX_DOWN_BYTES = 2**28

# Longest frame from a worker in bytes. Reports beyond `PORTION` bytes or `ENTRIES` entries are split.
MAX_UP_BYTES = 2**22

# Longest introduction in bytes: it holds a path of up to 4,096 bytes and little else.
MAX_INTRODUCTION_BYTES = 2**13

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

# The kind of an introduction, in every version.
INTRODUCTION = 255


@dataclass(frozen=True)
class Direction:
    """The messages allowed in one direction: their kinds, and the longest frame in bytes."""

    kinds: tuple[type[Message], ...]
    longest: int


DOWN = Direction((messages.WorkerConfig, messages.Publication, messages.Certificates, messages.Drain), MAX_DOWN_BYTES)
UP = Direction((messages.Introduction, Delta, messages.Acknowledged, messages.Drained), MAX_UP_BYTES)
ANY = Direction((*KINDS, messages.Introduction), MAX_DOWN_BYTES)

T = TypeVar("T")

# Characters of a decoding error that are reported.
MAX_ERROR_LENGTH = 300

_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_ENCODER = msgspec.msgpack.Encoder()
_INTRODUCTIONS = msgspec.json.Decoder(messages.Introduction)
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in KINDS]


class ProtocolError(Exception):
    """A received frame has another version, or is not a valid message."""


def encode(message: Message) -> bytes:
    """The frame of a message."""
    if isinstance(message, messages.Introduction):
        payload = msgspec.json.encode(message)
        return HEADER.pack(len(payload), messages.VERSION, INTRODUCTION) + payload
    payload = _ENCODER.encode(message)
    return HEADER.pack(len(payload), messages.VERSION, _NUMBERS[type(message)]) + payload


def frames(message: Message) -> Iterator[bytes]:
    """The frames of a message: one, or several for a long report, whose parts add up to it."""
    data = encode(message)
    if isinstance(message, Delta) and (entries(message) > ENTRIES or _too_long(data, message)):
        for part in split_delta(message):
            yield from frames(part)
    else:
        yield data


def _too_long(data: bytes, delta: Delta) -> bool:
    """Whether splitting shortens the report. Gauges, such as overdue requests, are repeated in each part."""
    if len(data) <= PORTION or entries(delta) < 2:
        return False
    return len(data) - len(encode(replace(delta, cells=(), users=(), goals=(), mirrors=()))) > PORTION


def entries(delta: Delta) -> int:
    """The length of the longest list that can be split."""
    return max(map(len, (delta.cells, delta.users, delta.goals, delta.mirrors)))


def split_delta(delta: Delta) -> tuple[Delta, Delta]:
    """Two reports that add up to this one: counts are divided, gauges repeated."""

    def cut(many: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
        middle = (len(many) + 1) // 2
        return many[:middle], many[middle:]

    cells, users, goals, mirrors = cut(delta.cells), cut(delta.users), cut(delta.goals), cut(delta.mirrors)
    rest = replace(delta, refused={}, turned_away={}, evicted={}, shed=0)
    return (
        replace(delta, cells=cells[0], users=users[0], goals=goals[0], mirrors=mirrors[0]),
        replace(rest, cells=cells[1], users=users[1], goals=goals[1], mirrors=mirrors[1]),
    )


class Decoder:
    """Decodes received bytes, however they are cut, to messages allowed in `direction`."""

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
        """Append received bytes."""
        self._buffer += data

    def messages(self) -> Iterator[Message]:
        """The complete messages; those not iterated over remain for the next call. Raises `ProtocolError`."""
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
        """Check a frame by its header, before its payload is buffered."""
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
    """One message. Raises `ProtocolError`, also for a payload that is nested too deeply."""
    try:
        return (_INTRODUCTIONS if kind == INTRODUCTION else _DECODERS[kind]).decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError, MemoryError) as error:
        raise ProtocolError(ascii(str(error))[1:-1][:MAX_ERROR_LENGTH]) from None
