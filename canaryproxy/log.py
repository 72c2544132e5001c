"""What the processes say of themselves: one line for each event on standard error, for people or as JSON.

Values belong into `extra`, under `fields`, so that machines find them; the sentence says the same to people. No
message carries a token, a key, a header or a body.

Clients, origins and other services choose part of the words. Both formatters make one line of whatever they are given,
without control characters and of bounded length, so no call can forge a line or reach a terminal.
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

FORMAT = "CANARYPROXY_LOG"
"""Environment variable that hands level and format on to the workers: `info:text`, `debug:json`, and the like."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")

BAR = " | "
"""What stands between the lines of a traceback."""

MAX_DEPTH = 3
"""Levels of a field's value that are kept apart."""


MAX_LINE_BYTES = PIPE_BUF - 1
"""Bytes of a line without its end. A pipe takes so many at once: longer ones of several processes would be mixed, and
the rest of one could pass for another.
"""

MAX_MESSAGE_LENGTH = 2_000
"""Bytes of a message that are shown."""

SHARES = (1, 2, 4, 8, 16, 32, 64)
"""How much of its texts is shown of an event that is too long for a line: all, a half, and so on."""

MAX_FIELD_LENGTH = 1_000
MAX_TRACEBACK_LENGTH = 3_000
MAX_ITEMS = 64
"""Characters of one field's value and of the end of a traceback, and items of a list or a mapping."""


class TextFormatter(logging.Formatter):
    """One line to read: time of day, level, message, and the traceback of what broke, bars between its lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by the library
        """The line without a traceback."""
        record.message = _head(escaped(record.message), MAX_MESSAGE_LENGTH)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line. A traceback that another formatter has kept in the record is made again."""
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
        """It, with texts so many times shorter than they may be."""
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
    """The beginning, in bytes of UTF-8."""
    data = text.encode()
    return text if len(data) <= most else data[: most - len(CUT)].decode(errors="ignore") + CUT


def _tail(text: str, most: int) -> str:
    """The end, which of a traceback says what happened."""
    data = text.encode()
    return text if len(data) <= most else CUT + data[len(data) - most + len(CUT) :].decode(errors="ignore")


def _bounded(value: Any, share: int, depth: int = 0) -> Any:
    """A field's value with no more of it than fits a line."""
    most, longest = MAX_ITEMS // share, MAX_FIELD_LENGTH // share
    if isinstance(value, dict) and depth < MAX_DEPTH:
        pairs = list(value.items())[: most if depth else None]
        return {_cut(str(key), longest): _bounded(one, share, depth + 1) for key, one in pairs}
    if isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
        return [_bounded(one, share, depth + 1) for one in value[:most]]
    return value if value is None or isinstance(value, (int, float)) else _cut(str(value), longest)


class BackgroundHandler(logging.Handler):
    """Has a thread of its own write the lines, so that a reader that does not read never holds up who logs. Lines that
    find no room are dropped, and their number is said as soon as there is some.
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
        """Leave the line to the thread."""
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
        """Whether it could be written. A process that shares the file may have set it not to block; a full disk has
        room again some day.
        """
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
        """Write what waits, if that takes no longer."""
        self._lines.put(None)
        self._thread.join(patience)


def _warning(words: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("canaryproxy", logging.WARNING, __file__, 0, words, values, None)


@contextlib.contextmanager
def in_background() -> Iterator[None]:
    """Until the end of the block, log from a thread what else would be written at once to a file, standard error as a
    rule.
    """
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
    """The same in the background, if it writes to a file."""
    try:
        number = handler.stream.fileno() if isinstance(handler, logging.StreamHandler) else None
    except (OSError, ValueError):
        number = None
    return handler if number is None else BackgroundHandler(number, handler.formatter)


def configure(level: str | None = None, form: str | None = None) -> None:
    """Set the log up, as given or else as in the parent process. Raises `ValueError` for unknown words."""
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
    """Until the end of the block, have what no code catches in threads and finalizers logged as everything else: the
    interpreter would write it as it is.
    """
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
