"""The log of all processes: one line per event on standard error, as text or as JSON.

Values belong into `extra`, under `fields`, for machines; the message has them for people. No message contains a token,
a key, a header or a body.

Clients, origins and other services choose part of the text. Both formatters write a single line of bounded length
without control characters, so that no text can forge a line or act as a terminal command.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from select import PIPE_BUF, select
from threading import Thread
from typing import Any

from canaryproxy.escape import CUT, NEWLINE, escaped, escaped_json

# Environment variable that passes level and format to the workers, such as `info:text` or `debug:json`.
FORMAT = "CANARYPROXY_LOG"

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")

# Separator of the lines of a traceback.
BAR = " | "

# Levels of nested values in a field; deeper ones are written as text.
MAX_DEPTH = 3

# Bytes of a line without its end. A pipe takes PIPE_BUF bytes atomically; longer lines of several processes would mix,
# and the rest of one could pass for another line.
MAX_LINE_BYTES = PIPE_BUF - 1

# Bytes of a message that are logged.
MAX_MESSAGE_LENGTH = 2_000

# Divisors of the limits on texts, tried in turn until an event fits into a line.
SHARES = (1, 2, 4, 8, 16, 32, 64)

# Limits on characters of a field's value and of the end of a traceback, and on items of a list or mapping.
MAX_FIELD_LENGTH = 1_000
MAX_TRACEBACK_LENGTH = 3_000
MAX_ITEMS = 64


class TextFormatter(logging.Formatter):
    """One line of text: time of day, level, message, and the traceback of an exception with bars between its lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by the library
        """The line without a traceback."""
        record.message = _head(escaped(record.message), MAX_MESSAGE_LENGTH)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line. A traceback that another formatter has cached in the record is formatted again."""
        record.exc_text = None
        line, *rest = super().format(record).split(NEWLINE)
        record.exc_text = None
        if not rest:
            return line
        room = MAX_LINE_BYTES - len(line.encode()) - len(BAR)
        return f"{line}{BAR}{_tail(BAR.join(map(escaped, rest)), room)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC, RFC 3339), `level`, `message`, `process`, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return next(line for share in SHARES if len(line := self._line(record, share)) <= MAX_LINE_BYTES)

    def _line(self, record: logging.LogRecord, share: int) -> str:
        """The line with all limits on texts divided by `share`."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": _cut(record.getMessage(), MAX_MESSAGE_LENGTH // share),
            "process": record.process,
            **_bounded(getattr(record, "fields", {}), share),
        }
        if record.exc_info:
            text = self.formatException(record.exc_info)
            most = MAX_TRACEBACK_LENGTH // share
            line["exception"] = text if len(text) <= most else CUT + text[-most:]
        return escaped_json(json.dumps(line, default=str))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + CUT


def _head(text: str, most: int) -> str:
    """The first `most` bytes of UTF-8."""
    data = text.encode()
    return text if len(data) <= most else data[: most - len(CUT)].decode(errors="ignore") + CUT


def _tail(text: str, most: int) -> str:
    """The last `most` bytes of UTF-8: the end of a traceback names the exception."""
    data = text.encode()
    return text if len(data) <= most else CUT + data[len(data) - most + len(CUT) :].decode(errors="ignore")


def _bounded(value: Any, share: int, depth: int = 0) -> Any:
    """A field's value within the limits."""
    most, longest = MAX_ITEMS // share, MAX_FIELD_LENGTH // share
    if isinstance(value, dict) and depth < MAX_DEPTH:
        pairs = list(value.items())[: most if depth else None]
        return {_cut(str(key), longest): _bounded(one, share, depth + 1) for key, one in pairs}
    if isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
        return [_bounded(one, share, depth + 1) for one in value[:most]]
    return value if value is None or isinstance(value, (int, float)) else _cut(str(value), longest)


class BackgroundHandler(logging.Handler):
    """Writes lines in its own thread, so that a slow reader never blocks the caller. Lines beyond `room` are dropped;
    their number is logged as soon as possible.
    """

    def __init__(self, fd: int, formatter: logging.Formatter | None = None, room: int = 1_000) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._fd = fd
        self._room = room
        self._dropped = self._lost = self._said = 0
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<BackgroundHandler log: {self._lines.qsize()} lines waiting, {self._dropped + self._lost} dropped>"

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line for the thread."""
        if self._lines.qsize() >= self._room:
            self._dropped += 1
        else:
            self._lines.put(self.format(record))

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._put(line):
                self._lost += 1
            missing = self._dropped + self._lost - self._said
            words = "%d lines of this log were dropped: it was not read, or could not be written"
            if missing and self._put(self.format(_warning(words, missing))):
                self._said += missing

    def _put(self, line: str) -> bool:
        """Write a line; returns whether that succeeded. The file may be non-blocking: other processes share it."""
        data = f"{line}\n".encode(errors="backslashreplace")
        try:
            while data:
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._fd, data) :]
                    continue
                select([], [self._fd], [])
        except OSError:
            return False
        return True

    def stop(self, patience: float = 1.0) -> None:
        """Write the waiting lines, for at most `patience` seconds."""
        self._lines.put(None)
        self._thread.join(patience)


def _warning(words: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("canaryproxy", logging.WARNING, __file__, 0, words, values, None)


@contextlib.contextmanager
def in_background() -> Iterator[None]:
    """Within the block, write the log in a thread."""
    root = logging.getLogger()
    before = root.handlers
    root.handlers = [behind(one) for one in before]
    try:
        yield
    finally:
        handlers, root.handlers = root.handlers, before
        for handler in handlers:
            if isinstance(handler, BackgroundHandler):
                handler.stop()


def behind(handler: logging.Handler) -> logging.Handler:
    """A background handler for a handler that writes to a file."""
    try:
        number = handler.stream.fileno() if isinstance(handler, logging.StreamHandler) else None
    except (OSError, ValueError):
        number = None
    return handler if number is None else BackgroundHandler(number, handler.formatter)


def configure(level: str | None = None, form: str | None = None) -> None:
    """Configure the log, as given or else as in the parent process. Raises `ValueError` for unknown values."""
    inherited = os.environ.get(FORMAT, "info:text").partition(":")
    level, form = level or inherited[0], form or inherited[2]
    if level not in LEVELS or form not in FORMATS:
        raise ValueError(f"no such log: {level}:{form}")
    os.environ[FORMAT] = f"{level}:{form}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def caught() -> Iterator[None]:
    """Within the block, log uncaught exceptions of threads and finalizers, escaped like all others."""
    log = logging.getLogger("canaryproxy")
    before = threading.excepthook, sys.unraisablehook

    def said(words: str) -> Callable[[Any], None]:
        return lambda what: log.error(words, exc_info=(what.exc_type, what.exc_value, what.exc_traceback))

    threading.excepthook = said("a thread ended")
    sys.unraisablehook = said("an error could not be raised")
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
