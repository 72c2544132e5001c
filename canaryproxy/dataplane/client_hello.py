"""Where a TLS client's first message ends (RFC 8446 5.1, 4). Pure.

A handshake costs tens of kilobytes and a signature. Both are spent on clients whose whole hello is there: until then a
connection is a socket and nothing more.
"""

HANDSHAKE = 22
CLIENT_HELLO = 1
RECORD_HEADER = 5
MESSAGE_HEADER = 4
MAX_RECORD_BYTES = 2**14 + 256
MAX_HELLO_BYTES = 2**15
"""Bytes of a hello with its records; browsers send some two thousand."""


def bytes_needed(data: bytes) -> int:
    """Bytes that have to be there, from the first one on, before more can be said of these; 0 where the hello is
    complete, or is none: then the TLS library says what is wrong with it.
    """
    size, taken, position = 0, 0, 0
    head = b""
    while True:
        record = data[position : position + RECORD_HEADER]
        if record and record[0] != HANDSHAKE:
            return 0
        if len(record) < RECORD_HEADER:
            return position + RECORD_HEADER
        length = int.from_bytes(record[3:])
        if not 0 < length <= MAX_RECORD_BYTES:
            return 0
        position += RECORD_HEADER
        if len(head) < MESSAGE_HEADER:
            head += data[position : position + min(length, MESSAGE_HEADER - len(head))]
            if head and head[0] != CLIENT_HELLO:
                return 0
        taken += length
        position += length
        if position > len(data):
            return position
        if len(head) == MESSAGE_HEADER:
            size = MESSAGE_HEADER + int.from_bytes(head[1:])
            if taken >= size or position + size - taken > MAX_HELLO_BYTES:
                return 0
