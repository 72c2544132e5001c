"""Checks a head line by line, in byte order.

Used if the one-pass pattern did not match and while a head is incomplete, so that an invalid line is rejected as soon
as it has arrived. A line ends at its LF and must end in CRLF. The result depends only on the bytes before it, not on
how they arrive.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.header_scan import field_line
from canaryproxy.model.failure import Failure, RequestRejectedError

fold = re.compile(rb"[ \t]" + grammar.FIELD_BYTE + rb"*+\r\n").fullmatch


class HeadSyntax(NamedTuple):
    """The syntax of request heads, response heads or trailers.

    `start` raises `RequestRejectedError` unless its argument, a line with CRLF, is a valid start line; None for
    trailers. `start_limit` and `limit` are bytes of the start line and of the whole head, `fields` limits their number,
    folded lines included. `folds` allows obs-fold (RFC 9112 5.2), which the caller replaces.
    """

    start: Callable[[bytes], None] | None
    start_limit: int
    limit: int
    fields: int
    malformed: Failure
    start_too_long: Failure
    too_large: Failure
    folds: bool = False


class LineCheck:
    """Checks the lines of one head after another. Offsets are relative to the head's first byte."""

    __slots__ = ("_at_start", "_checked", "_fields", "_syntax")

    def __init__(self, syntax: HeadSyntax) -> None:
        self._syntax = syntax
        self.reset()

    def reset(self) -> None:
        """Begin with a new head."""
        self._at_start = self._syntax.start is not None
        self._checked = 0
        self._fields = 0

    def advance(self, buffer: bytes, begin: int) -> None:
        """Check the complete lines of the head at `begin` that were not checked before. Raises `RequestRejectedError`
        at the first line that violates a rule or a limit.
        """
        position = begin + self._checked
        while (end := buffer.find(b"\n", position) + 1) > 0:
            self._line(buffer[position:end], end - begin)
            position = end
        self._checked = position - begin
        self._check_size(len(buffer) - begin)

    def _check_size(self, size: int) -> None:
        if self._at_start and size > self._syntax.start_limit:
            raise RequestRejectedError(self._syntax.start_too_long, "the start line is too long")
        if size > self._syntax.limit:
            raise RequestRejectedError(self._syntax.too_large, "the head is too large")

    def _line(self, line: bytes, size: int) -> None:
        self._check_size(size)
        if self._at_start and self._syntax.start is not None:
            self._syntax.start(line)
            self._at_start = False
        elif line != b"\r\n":
            self._field(line)

    def _field(self, line: bytes) -> None:
        folded = self._syntax.folds and self._fields and fold(line)
        self._fields += 1
        if self._fields > self._syntax.fields:
            raise RequestRejectedError(self._syntax.too_large, "too many fields")
        if folded:
            return
        if not field_line(line):
            raise RequestRejectedError(self._syntax.malformed, f"field line {self._fields} is malformed")
