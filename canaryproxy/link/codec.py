"""Messages to bytes and back: a frame is its length, the version, the kind, and the message in MessagePack.

What comes in is checked against the types: a worker that was taken over through the bytes it parses can send
wrong numbers, not wrong types. Nothing is ever executed, unlike with pickle. An introduction is JSON under a number of
its own, so that it is understood across versions. The only home of msgspec.
"""

import struct
from collections.abc import Iterator

import msgspec

from canaryproxy.link import messages
from canaryproxy.link.messages import Message
from canaryproxy.model.delta import Delta

HEADER = struct.Struct("!IBB")

LONGEST = 2**28
"""Bytes of a frame; a table with a million rules stays below."""

KINDS: tuple[type[Message], ...] = (
    messages.Begin, messages.Publication, messages.Certificates, messages.Drain, Delta, messages.Acknowledged,
    messages.Drained,
)  # fmt: skip

INTRODUCTION = 255
"""The kind of an introduction, in every version."""

_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_ENCODER = msgspec.msgpack.Encoder()
_INTRODUCTIONS = msgspec.json.Decoder(messages.Introduction)
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in KINDS]


class Garbled(Exception):
    """The other end does not speak this version of the link, or sends what is no message."""


def encode(message: Message) -> bytes:
    """The frame of a message."""
    if isinstance(message, messages.Introduction):
        payload = msgspec.json.encode(message)
        return HEADER.pack(len(payload), messages.VERSION, INTRODUCTION) + payload
    payload = _ENCODER.encode(message)
    return HEADER.pack(len(payload), messages.VERSION, _NUMBERS[type(message)]) + payload


class Decoder:
    """Bytes in any portions to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<Decoder {len(self._buffer)} bytes waiting>"

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. Raises `Garbled`."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEADER.size:
            length, version, kind = HEADER.unpack_from(buffer)
            known = kind == INTRODUCTION or (version == messages.VERSION and kind < len(KINDS))
            if not known or length > LONGEST:
                raise Garbled(f"a frame of version {version}, kind {kind}, {length} bytes")
            end = HEADER.size + length
            if len(buffer) < end:
                return
            payload = bytes(memoryview(buffer)[HEADER.size : end])
            del buffer[:end]
            try:
                yield (_INTRODUCTIONS if kind == INTRODUCTION else _DECODERS[kind]).decode(payload)
            except msgspec.MsgspecError as error:
                raise Garbled(str(error)) from None
