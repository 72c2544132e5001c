"""Log lines for people and for machines."""

import json
import logging
import os
import sys
import threading
from select import PIPE_BUF
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import log


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(log.FORMAT, "info:text")


def test_json_lines_carry_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("canaryproxy", logging.WARNING, "f", 1, "weight of %s", ("shop",), None)
    record.fields = {"route": "shop", "generation": 2}
    line = json.loads(log.JsonFormatter().format(record))
    assert (line["level"], line["message"], line["route"], line["generation"]) == (
        "warning",
        "weight of shop",
        "shop",
        2,
    )
    assert line["time"].endswith("Z")


def test_an_exception_is_part_of_the_line() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("canaryproxy", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "ValueError: x" in json.loads(log.JsonFormatter().format(record))["exception"]


def test_workers_inherit_level_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **given: found.append(given))
    found: list[dict[str, object]] = []
    log.configure("debug", "json")
    log.configure()
    assert [one["level"] for one in found] == ["DEBUG", "DEBUG"]
    assert isinstance(found[1]["handlers"][0].formatter, log.JsonFormatter)  # type: ignore[index]
    with pytest.raises(ValueError, match="no such log"):
        log.configure("loud", "json")


def test_who_logs_does_not_wait_for_a_reader_and_what_was_dropped_is_counted() -> None:
    reading, writing = os.pipe()
    background = log.BackgroundHandler(writing, log.JsonFormatter(), room=10)
    for number in range(2_000):
        background.handle(logging.makeLogRecord({"msg": f"line {number} {'x' * 1_000}"}))
    lines: list[str] = []

    def read() -> None:
        with os.fdopen(reading) as file:
            lines.extend(file)

    reader = threading.Thread(target=read)
    reader.start()
    background.stop(10.0)
    os.close(writing)
    reader.join(10.0)
    messages = [json.loads(line)["message"] for line in lines]
    assert messages[0].startswith("line 0 ")
    dropped = [int(message.split()[0]) for message in messages if " lines of this log were dropped" in message]
    assert sum(dropped) + len(messages) - len(dropped) == 2_000


def test_a_file_that_does_not_block_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    background = log.BackgroundHandler(writing, log.JsonFormatter())
    for number in range(200):
        background.handle(logging.makeLogRecord({"msg": f"line {number} {'x' * 1_000}"}))
    lines: list[str] = []

    def read() -> None:
        with os.fdopen(reading) as file:
            lines.extend(file)

    reader = threading.Thread(target=read)
    reader.start()
    background.stop(10.0)
    os.close(writing)
    reader.join(10.0)
    assert [json.loads(line)["message"].split()[1] for line in lines] == [str(number) for number in range(200)]


def test_a_full_disk_costs_the_lines_of_that_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    full, write, failed = os.open("/dev/full", os.O_WRONLY), os.write, threading.Semaphore(0)

    def noticed(fd: int, data: bytes) -> int:
        try:
            return write(fd, data)
        except OSError:
            failed.release()
            raise

    monkeypatch.setattr(os, "write", noticed)
    background = log.BackgroundHandler(full, log.JsonFormatter())
    background.handle(logging.makeLogRecord({"msg": "lost"}))
    assert [failed.acquire(timeout=10.0) for _ in ("the line", "the line that says how many were lost")] == [True, True]
    reading, writing = os.pipe()
    os.dup2(writing, full)
    background.handle(logging.makeLogRecord({"msg": "kept"}))
    background.stop(10.0)
    os.close(full)
    os.close(writing)
    with os.fdopen(reading) as file:
        messages = [json.loads(line)["message"] for line in file]
    assert messages[0] == "kept"
    assert messages[1].startswith("1 lines of this log were dropped")


def test_an_end_does_not_wait_for_a_reader() -> None:
    reading, writing = os.pipe()
    background = log.BackgroundHandler(writing)
    for _ in range(1_000):
        background.handle(logging.makeLogRecord({"msg": "x" * 1_000}))
    background.stop(0.05)
    os.close(reading)
    background.stop(10.0)
    os.close(writing)


def test_a_block_logs_in_the_background_in_the_same_form(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers
    one = logging.StreamHandler()
    one.setFormatter(log.JsonFormatter())
    root.handlers = [one]
    try:
        with log.in_background():
            assert isinstance(root.handlers[0], log.BackgroundHandler)
            logging.getLogger("canaryproxy").warning("hello")
        assert root.handlers == [one]
    finally:
        root.handlers = before
    assert json.loads(capfd.readouterr().err)["message"] == "hello"


STRANGE = st.text(st.characters(), max_size=200)
FORMATTERS = [log.TextFormatter(), log.JsonFormatter()]


def made(
    message: str, fields: dict[str, object] | None = None, error: BaseException | None = None
) -> logging.LogRecord:
    raised = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("canaryproxy", logging.ERROR, "f", 1, "%s", (message,), raised)
    if fields is not None:
        record.fields = fields
    return record


@given(STRANGE, STRANGE, st.booleans())
def test_a_record_is_one_line_of_visible_characters_whatever_is_in_it(message: str, field: str, broken: bool) -> None:
    record = made(message, {"field": field, "list": [field]}, ValueError(field) if broken else None)
    for formatter in FORMATTERS:
        line = formatter.format(record)
        assert line.isprintable()
        assert len(line.encode()) < PIPE_BUF


@given(STRANGE, STRANGE)
def test_json_reads_back_as_what_was_said(message: str, field: str) -> None:
    line = json.loads(
        log.JsonFormatter().format(made(message, {"field": field, "list": [field], "map": {"key": field}}))
    )
    assert (line["message"], line["field"], line["list"], line["map"]) == (message, field, [field], {"key": field})


@pytest.mark.parametrize("piece", ["x", "\x1b", "日", "\U0001f600", "\ud800", "\n12:00:00 ERROR forged"])
def test_no_line_is_longer_than_a_pipe_takes_at_once_and_the_end_of_a_traceback_stays(piece: str) -> None:
    record = made(piece * 5_000, {piece: piece * 5_000, "many": [piece * 100] * 1_000}, ValueError(piece * 300 + "end"))
    for formatter in FORMATTERS:
        line = formatter.format(record)
        assert line.isprintable()
        assert len(line.encode()) < PIPE_BUF
    text = log.TextFormatter().format(record)
    assert text.endswith("end")
    assert json.loads(log.JsonFormatter().format(record))["exception"].endswith("end")


def test_a_traceback_that_another_formatter_has_kept_is_escaped_all_the_same() -> None:
    record = made("failed", error=ValueError("\x1b[31m\nforged"))
    logging.Formatter().format(record)
    assert "ValueError: \\x1b[31m | forged" in log.TextFormatter().format(record)


def test_what_no_code_catches_is_logged_as_everything_else(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("\x1b[31m")

    before = threading.excepthook
    with log.caught():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        sys.unraisablehook(SimpleNamespace(exc_type=ValueError, exc_value=ValueError("late"), exc_traceback=None))
    assert [one.getMessage() for one in caplog.records] == ["a thread ended", "an error could not be raised"]
    assert "\\x1b" in log.TextFormatter().format(caplog.records[0])
    assert threading.excepthook is before
