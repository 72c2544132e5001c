"""Where lines go, in a thread of its own: a slow disk or a pipe that nobody reads never holds up a request.

What waits is bounded; beyond that, entries are dropped and counted, and the log says how many. The thread looks
several times a second instead of being woken for each line, so to the request path a line is one append.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections import deque

from canaryproxy.telemetry.accesslog import Entry, Render

log = logging.getLogger("canaryproxy")

PERIOD = 0.1
CHECK_PERIOD = 1.0
STANDARD_OUTPUT = 1
MODE = 0o640


class Sink:
    """Writes entries to `path`, `-` for standard output. Raises `OSError` if the file cannot be opened now."""

    def __init__(self, path: str, render: Render, *, limit: int = 8192) -> None:
        self._path = path
        self._render = render
        self._limit = limit
        self._waiting: deque[Entry] = deque()
        self._dropped = 0
        self._told = 0
        self._failing = False
        self._ending = threading.Event()
        self._file = self._open()
        self._checked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Sink {self._path}: {len(self._waiting)} waiting, {self._dropped} dropped>"

    @property
    def dropped(self) -> int:
        """Entries that were never written."""
        return self._dropped

    def put(self, entry: Entry) -> None:
        """Hand over an entry; returns at once."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
        else:
            self._waiting.append(entry)

    def close(self, patience: float = 2.0) -> None:
        """Write what is waiting, for at most `patience` seconds, and stop."""
        self._ending.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._ending.wait(PERIOD):
            self._flush()
        self._flush()
        if self._file != STANDARD_OUTPUT:
            os.close(self._file)

    def _flush(self) -> None:
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(len(waiting))]
        if not batch and self._told == self._dropped:
            return
        lines = [self._render(entry) for entry in batch]
        dropped = self._dropped
        if dropped > self._told:
            lines.append(json.dumps({"dropped": dropped - self._told}))
        try:
            self._follow()
            self._write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._dropped += len(batch)
            self._complain(error)
        else:
            self._told = dropped
            self._failing = False

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _follow(self) -> None:
        """Open the file anew where it was moved away (log rotation)."""
        if self._file == STANDARD_OUTPUT or time.monotonic() - self._checked < CHECK_PERIOD:
            return
        self._checked = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._file)):  # noqa: PTH116 - beside fstat
                return
        fresh = self._open()
        os.close(self._file)
        self._file = fresh

    def _open(self) -> int:
        if self._path == "-":
            return STANDARD_OUTPUT
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.warning("the access log %s cannot be written (%s); lines are dropped", self._path, error.strerror)
