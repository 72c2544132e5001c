"""What the processes say of themselves: one line for each event on standard error, for people or as JSON.

Values belong into `extra`, under `fields`, so that machines find them; the sentence says the same to people. No
message carries a token, a key, a header or a body.
"""

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from queue import SimpleQueue
from select import select
from threading import Thread

FORMAT = "CANARYPROXY_LOG"
"""Environment variable that hands level and format on to the workers: `info:text`, `debug:json`, and the like."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


class Json(logging.Formatter):
    """One JSON object a line: `time` (UTC, RFC 3339), `level`, `message`, `process`, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class Background(logging.Handler):
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
        return f"<Background log: {self._lines.qsize()} lines waiting, {self._dropped + self._lost} dropped>"

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
        """Whether it could be written. Whoever shares the file may have set it not to block; a full disk has room
        again some day.
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
            if isinstance(handler, Background):
                handler.stop()


def behind(handler: logging.Handler) -> logging.Handler:
    """The same in the background, if it writes to a file."""
    try:
        number = handler.stream.fileno() if isinstance(handler, logging.StreamHandler) else None
    except (OSError, ValueError):
        number = None
    return handler if number is None else Background(number, handler.formatter)


def configure(level: str | None = None, form: str | None = None) -> None:
    """Set the log up, as given or else as the parent process was told. Raises `ValueError` for unknown words."""
    inherited = os.environ.get(FORMAT, "info:text").partition(":")
    level, form = level or inherited[0], form or inherited[2]
    if level not in LEVELS or form not in FORMATS:
        raise ValueError(f"no such log: {level}:{form}")
    os.environ[FORMAT] = f"{level}:{form}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Json() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
