"""A bounded writer of the access log in its own thread: a slow disk or pipe never blocks the event loop.

The request path only appends to a deque. The thread wakes a few times a second, renders the waiting entries and writes
them as one batch. No entry wakes the thread and nothing is locked: each counter has one writer. Entries that cannot be
queued or written are dropped and counted; the log reports their number as soon as it can be written.
"""

import contextlib
import errno
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from select import PIPE_BUF
from threading import Event, Thread

from canaryproxy.telemetry.record.access_log import AccessLogEntry, dropped_line, shortened

# The path that means standard output.
STDOUT = "-"

# Seconds between two batches: short for a reader, long enough that a batch is worth its system call.
PAUSE_SECONDS = 0.1

# Seconds between checks whether log rotation has moved the file.
ROTATION_CHECK_SECONDS = 1.0

# Bytes of each text of the client in a line that is too long for a pipe; the largest that fits is used.
SHORTER = (1024, 512, 256, 128, 64)

MODE = 0o640

log = logging.getLogger("canaryproxy")


class AccessLogWriter:
    """Writes entries to a file, or to standard output for the path `-`. Only one thread may call `put`.

    `clock` returns wall-clock seconds since the epoch; at most `limit` entries wait. Opens the file at once and raises
    `OSError` if that fails. Create it in the process that writes: threads do not survive a fork.
    """

    def __init__(
        self, path: str, render: Callable[[AccessLogEntry], str], *, clock: Callable[[], float], limit: int = 8192
    ) -> None:
        self._path = path
        self._render = render
        self._clock = clock
        self._limit = limit
        self._waiting: deque[AccessLogEntry] = deque()
        self._refused = 0
        self._lost = 0
        self._reported = 0
        self._failing = False
        self._torn = False
        self._look_at = 0.0
        self._fd = 1 if path == STDOUT else -1
        self._pipe = path == STDOUT and is_pipe(1)
        self._follow()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Entries dropped since the start."""
        return self._refused + self._lost

    def put(self, entry: AccessLogEntry) -> None:
        """Queue an entry. Never blocks: the entry is dropped if too many wait, or after `close`."""
        if len(self._waiting) < self._limit:
            self._waiting.append(entry)
        else:
            self._refused += 1

    def close(self, timeout: float = 2.0) -> None:
        """Write the waiting entries and stop, within `timeout` seconds."""
        self._limit = 0
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            self._write_batch()
        self._write_batch()
        if self._path != STDOUT:
            self._close_file()

    def _write_batch(self) -> None:
        lines = [self._line(self._waiting.popleft()) for _ in range(len(self._waiting))]
        dropped = self.dropped
        news = dropped - self._reported
        if news:
            lines.append(dropped_line(self._render, news, self._clock()))
        if not lines:
            return
        unwritten = self._write("".join(f"{line}\n" for line in lines).encode())
        if unwritten:
            self._lost += unwritten - bool(news)
        else:
            self._reported = dropped

    def _line(self, entry: AccessLogEntry) -> str:
        """The line of an entry. For a pipe it is shortened to an atomic write, so that lines of workers do not mix."""
        line = self._render(entry)
        if self._pipe and len(line.encode()) >= PIPE_BUF:
            shorter = (self._render(shortened(entry, most)) for most in SHORTER)
            line = next((one for one in shorter if len(one.encode()) < PIPE_BUF), line)
        return line

    def _write(self, data: bytes) -> int:
        """Write lines; returns how many at the end of `data` were not written completely."""
        done = 0
        try:
            self._follow()
            if self._torn:
                os.write(self._fd, b"\n")
                self._torn = False
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done : portion(data, done)])
        except OSError as error:
            if not self._failing:
                log.warning("access log %s: %s; entries are dropped until it can be written", self._path, error)
            self._failing = True
            if done:
                self._torn = data[done - 1 : done] != b"\n"
        else:
            self._failing = False
        return data.count(b"\n", done)

    def _follow(self) -> None:
        """Reopen the path if log rotation has moved the file."""
        if self._path == STDOUT or (self._fd >= 0 and time.monotonic() < self._look_at):
            return
        self._look_at = time.monotonic() + ROTATION_CHECK_SECONDS
        if self._fd < 0 or self._moved():
            self._close_file()
            self._fd = open_log(self._path)
            self._pipe = is_pipe(self._fd)
            self._torn = False

    def _moved(self) -> bool:
        try:
            return not os.path.samestat(Path(self._path).stat(), os.fstat(self._fd))
        except OSError:
            return True

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def portion(data: bytes, start: int) -> int:
    """The end of the next write: whole lines, at most PIPE_BUF bytes, which a pipe takes atomically; a longer line
    alone.
    """
    if len(data) - start <= PIPE_BUF:
        return len(data)
    end = data.rfind(b"\n", start, start + PIPE_BUF)
    if end < 0:
        end = data.find(b"\n", start)
    return end + 1 if end >= 0 else len(data)


def is_pipe(fd: int) -> bool:
    """Whether other processes may write into the same stream: a pipe or a socket."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def open_log(path: str) -> int:
    """Open a log for appending. Raises `OSError`, also for a block device."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISBLK(Path(path).stat().st_mode):
            raise OSError(errno.EINVAL, "it is a block device")
    # Without O_NONBLOCK, opening a named pipe would wait for its reader.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK, MODE)
    os.set_blocking(fd, True)
    return fd
