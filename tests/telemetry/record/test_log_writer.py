"""The sink: everything is written or counted, and no request waits for it."""

import errno
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import PIPE_BUF

import pytest

from canaryproxy.telemetry.record import log_writer as module
from canaryproxy.telemetry.record.access_log import AccessLogEntry, as_json, as_text
from canaryproxy.telemetry.record.log_writer import AccessLogWriter, portion
from tests.telemetry.record.test_access_log import AT, ENTRY


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "ROTATION_CHECK_SECONDS", 0.0)


@contextmanager
def sink_to(
    path: Path | str, render: Callable[[AccessLogEntry], str] = as_json, limit: int = 8192
) -> Iterator[AccessLogWriter]:
    sink = AccessLogWriter(str(path), render, clock=lambda: AT, limit=limit)
    try:
        yield sink
    finally:
        sink.close()
        assert not sink._thread.is_alive()


def put(sink: AccessLogWriter, *targets: str) -> None:
    for target in targets:
        sink.put(ENTRY._replace(target=target.encode()))


def reported(path: Path) -> list[str | int]:
    """The targets of the lines, and where entries were dropped, how many."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line.get("dropped") or line["target"] for line in lines]


def test_entries_are_written_soon_and_in_order(tmp_path: Path) -> None:
    with sink_to(tmp_path / "log") as sink:
        put(sink, "/1", "/2")
        until(lambda: reported(tmp_path / "log") == ["/1", "/2"])
        put(sink, "/3")
        until(lambda: reported(tmp_path / "log") == ["/1", "/2", "/3"])
    assert sink.dropped == 0


def test_the_file_is_appended_to_and_not_for_everybody_to_read(tmp_path: Path) -> None:
    for target in ("/1", "/2"):
        with sink_to(tmp_path / "log") as sink:
            put(sink, target)
    assert reported(tmp_path / "log") == ["/1", "/2"]
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) & ~0o640 == 0


def test_closing_writes_what_waits_and_later_entries_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 60.0)
    with sink_to(tmp_path / "log") as sink:
        put(sink, "/1", "/2")
    put(sink, "/3")
    sink.close()
    assert reported(tmp_path / "log") == ["/1", "/2"]
    assert sink.dropped == 1


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    sink = AccessLogWriter("-", as_text, clock=lambda: AT)
    sink.put(ENTRY)
    sink.close()
    assert capfd.readouterr().out == as_text(ENTRY) + "\n"
    os.fstat(1)


def test_what_is_over_the_limit_is_dropped_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 60.0)
    with sink_to(tmp_path / "log", limit=2) as sink:
        put(sink, "/1", "/2", "/3", "/4", "/5")
        assert sink.dropped == 3
    assert reported(tmp_path / "log") == ["/1", "/2", 3]


def test_a_wrong_path_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLogWriter(str(tmp_path / "missing" / "log"), as_json, clock=lambda: AT)


def test_a_named_pipe_without_a_reader_is_an_error_instead_of_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        AccessLogWriter(str(tmp_path / "pipe"), as_json, clock=lambda: AT)


def test_a_rotated_log_goes_on_in_a_new_file(tmp_path: Path) -> None:
    with sink_to(tmp_path / "log") as sink:
        put(sink, "/1")
        until(lambda: reported(tmp_path / "log") == ["/1"])
        (tmp_path / "log").rename(tmp_path / "log.1")
        put(sink, "/2")
        until(lambda: reported(tmp_path / "log") == ["/2"])
    assert reported(tmp_path / "log.1") == ["/1"]


def test_the_path_is_looked_at_no_more_often_than_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROTATION_CHECK_SECONDS", 60.0)
    with sink_to(tmp_path / "log") as sink:
        (tmp_path / "log").rename(tmp_path / "log.1")
        put(sink, "/1")
        until(lambda: reported(tmp_path / "log.1") == ["/1"])


def test_a_full_disk_is_one_warning_and_the_loss_is_reported_afterwards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    with sink_to(path) as sink:
        put(sink, "/1", "/2")
        until(lambda: sink.dropped == 2)
        put(sink, "/3")
        until(lambda: sink.dropped == 3)
        (tmp_path / "file").touch()
        (tmp_path / "new").symlink_to("file")
        (tmp_path / "new").rename(path)
        until(lambda: reported(path) == [3])
        put(sink, "/4")
        until(lambda: reported(path) == [3, "/4"])
    assert sink.dropped == 3
    (warning,) = caplog.messages
    assert "No space left on device" in warning


def test_a_file_that_cannot_be_opened_again_is_tried_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with sink_to(folder / "log") as sink:
        folder.rename(tmp_path / "old")
        put(sink, "/1")
        until(lambda: sink.dropped == 1)
        folder.mkdir()
        until(lambda: reported(folder / "log") == [1])
    assert len(caplog.messages) == 1


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    with sink_to(tmp_path / "log") as sink:
        put(sink, "/1", "/2")
    assert reported(tmp_path / "log") == ["/1", "/2"]


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, [len(as_json(ENTRY._replace(target=b"/1"))) + 10]

    def scarce(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", scarce)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.1)
    with sink_to(tmp_path / "log") as sink:
        put(sink, "/1", "/2", "/3")
        until(lambda: sink.dropped == 2)
        room[0] = 10_000
        put(sink, "/4")
    first, torn, *rest = (tmp_path / "log").read_text().splitlines()
    assert json.loads(first)["target"] == "/1"
    assert torn == as_json(ENTRY)[:9]
    assert {json.loads(line).get("dropped") or json.loads(line)["target"] for line in rest} == {"/4", 2}


def test_a_pipe_that_no_one_reads_holds_no_one_up(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            continue
    sink = AccessLogWriter(f"/dev/fd/{writer}", as_json, clock=lambda: AT, limit=100)
    start = time.monotonic()
    for _ in range(10_000):
        sink.put(ENTRY)
    assert time.monotonic() - start < 5
    assert 9_000 <= sink.dropped < 10_000
    start = time.monotonic()
    sink.close(timeout=0.05)
    assert time.monotonic() - start < 2
    os.close(reader)
    until(lambda: sink.dropped == 10_000)
    os.close(writer)
    assert len(caplog.messages) == 1


def test_a_pipe_is_written_to_when_its_reader_is_back() -> None:
    reader, writer = os.pipe()
    with sink_to(f"/dev/fd/{writer}") as sink:
        for _ in range(1000):
            sink.put(ENTRY)
        received = b""
        while received.count(b"\n") < 1000:
            received += os.read(reader, 65536)
    os.close(reader)
    os.close(writer)
    assert received.decode().splitlines() == [as_json(ENTRY)] * 1000
    assert sink.dropped == 0


def test_a_write_takes_whole_lines_and_no_more_than_a_pipe_takes_at_once() -> None:
    short, long = b"x" * 99 + b"\n", b"y" * 9999 + b"\n"
    data, start, ends = short * 100 + long + short, 0, []
    while start < len(data):
        start = portion(data, start)
        ends.append(start)
    assert [data[end - 1 : end] for end in ends] == [b"\n"] * len(ends)
    sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    assert max(sizes) == len(long)
    assert all(size <= 4096 for size in sizes if size != len(long))
    assert portion(b"a", 0) == 1
    assert portion(b"z" * 5000, 0) == 5000


@pytest.mark.parametrize("render", [as_json, as_text])
@pytest.mark.parametrize("piece", [b"x", b"\xff", b'"', b"\\", "日".encode(), b"\x7f"])
def test_no_line_of_a_client_is_longer_than_a_pipe_takes_at_once(
    render: Callable[[AccessLogEntry], str], piece: bytes
) -> None:
    """Else a worker's line would begin within another one's, and the rest of it stand on a line of its own."""
    reader, writer = os.pipe()
    long = piece * 8192
    with sink_to(f"/dev/fd/{writer}", render) as sink:
        for entry in (ENTRY, ENTRY._replace(target=long, host=long, method=long, request_id=long), ENTRY):
            sink.put(entry)
        received = b""
        while received.count(b"\n") < 3:
            received += os.read(reader, 65536)
    os.close(reader)
    os.close(writer)
    first, cut, last = received.decode().splitlines()
    assert first == last == render(ENTRY)
    assert len(cut.encode()) < PIPE_BUF
    assert "..." in cut


def test_a_file_has_every_byte_of_a_long_target(tmp_path: Path) -> None:
    with sink_to(str(tmp_path / "log")) as sink:
        sink.put(ENTRY._replace(target=b"/" + b"x" * 8000))
    assert json.loads((tmp_path / "log").read_text())["target"] == "/" + "x" * 8000
