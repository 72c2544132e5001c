"""Has the file changed?"""

import os
from pathlib import Path

import pytest

from canaryproxy.control.file_watch import MISSING, Change, FileSnapshot, Watch, compare

A, B = FileSnapshot((1, 1, 1, 1), b"a"), FileSnapshot((1, 2, 1, 1), b"b")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (A, A, Change.NONE),
        (A, B, Change.CONTENT),
        (A, FileSnapshot((1, 9, 1, 9), b"a"), Change.NONE),
        (A, MISSING, Change.VANISHED),
        (MISSING, MISSING, Change.NONE),
        (MISSING, A, Change.CONTENT),
    ],
)
def test_only_other_content_is_a_change(before: FileSnapshot, after: FileSnapshot, change: Change) -> None:
    assert compare(before, after) is change


def test_a_file_written_in_place_is_seen_once(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    watch = Watch(path)
    assert watch.poll() is Change.NONE
    path.write_text("another")
    assert watch.poll() is Change.CONTENT
    assert watch.poll() is Change.NONE


def test_a_swapped_configmap_is_seen(tmp_path: Path) -> None:
    for number in ("1", "2"):
        folder = tmp_path / f"..v{number}"
        folder.mkdir()
        (folder / "a.yaml").write_text(number)
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    watch = Watch(tmp_path / "a.yaml")
    (tmp_path / "..new").symlink_to("..v2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert watch.poll() is Change.CONTENT


def test_a_file_that_vanishes_is_reported_once_and_compared_with_its_last_content_when_it_returns(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    watch = Watch(path)
    path.unlink()
    assert [watch.poll(), watch.poll()] == [Change.VANISHED, Change.NONE]
    path.write_text("one")
    assert watch.poll() is Change.NONE
    path.unlink()
    watch.poll()
    path.write_text("two")
    assert watch.poll() is Change.CONTENT


def test_a_pipe_is_looked_at_without_waiting_and_never_changes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    watch = Watch(path)
    assert watch.poll() is Change.NONE
    path.unlink()
    path.write_text("a file now")
    assert watch.poll() is Change.CONTENT
