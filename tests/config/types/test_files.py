"""Files that are named are read in one bounded go, and nothing that is at their path holds anything up."""

import os
import threading
import time
from pathlib import Path

import pytest

from canaryproxy.config import ConfigError, load
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types import files as module
from canaryproxy.config.types.files import read_bounded, read_named
from canaryproxy.config.types.secret import token_file


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_SECONDS", 0.2)


def write(path: Path, *pieces: bytes) -> threading.Thread:
    def whole() -> None:
        with path.open("wb", buffering=0) as pipe:
            for piece in pieces:
                pipe.write(piece)
                time.sleep(0.01)

    thread = threading.Thread(target=whole, daemon=True)
    thread.start()
    return thread


def test_a_file_is_read_as_far_as_it_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    assert read_bounded(path, 100) == b"abcdef"
    assert read_bounded(path, 3) == b"abc"
    path.write_bytes(b"")
    assert read_bounded(path, 3) == b""


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_SECONDS", 30)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = write(path, b"ab", b"cd", b"e" * 100_000)
    assert read_bounded(path, 1 << 20) == b"abcd" + b"e" * 100_000
    writing.join()


def test_a_pipe_that_was_written_and_closed_before_is_read_too() -> None:
    """As of `run <(echo ...)`, where the shell's child may be gone already."""
    reader, writer = os.pipe()
    os.write(writer, b"stable: a")
    os.close(writer)
    assert read_bounded(Path(f"/dev/fd/{reader}"), 100) == b"stable: a"
    os.close(reader)


def test_a_pipe_that_no_one_writes_into_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(TimeoutError, match="nothing was written into it"):
        read_bounded(path, 100)
    held = os.open(path, os.O_RDWR)
    with pytest.raises(TimeoutError):
        read_bounded(path, 100)
    os.close(held)
    with pytest.raises(ConfigError, match="nothing was written into it"):
        load(path, {})
    with pytest.raises(InvalidValueError, match="nothing was written into it"):
        read_named(str(path), 10, "expected a file")
    with pytest.raises(InvalidValueError):
        token_file(str(path))


def test_a_device_without_end_is_read_as_far_as_is_wanted() -> None:
    assert read_bounded(Path("/dev/zero"), 10) == bytes(10)
    assert read_bounded(Path("/dev/null"), 10) == b""


@pytest.mark.parametrize("value", ["", None, 3, "a\0b"])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match="expected a file"):
        read_named(value, 10, "expected a file")


def test_a_directory_and_nothing_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="Is a directory"):
        read_named(str(tmp_path), 10, "expected a file")
    with pytest.raises(InvalidValueError, match="No such file"):
        read_named(str(tmp_path / "a"), 10, "expected a file")
