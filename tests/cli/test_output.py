"""What is printed where: terminals, pipes, outputs that know ASCII alone, outputs that are closed."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from canaryproxy.cli.output import ASCII, CLOSED, HANDLER, Sheet, ascii_only, draws_boxes, is_rich, word

CONFIG = Path(__file__).parents[2] / "config" / "everything.yaml"
LONG = "a-name-that-is-longer-than-a-narrow-terminal-has-room-for-in-one-of-its-columns"


def sheet() -> Sheet:
    made = Sheet()
    made.add_column("route", again=True)
    made.add_column("why", free=True)
    made.add_column("in flight", justify="right")
    made.add_row(LONG, "two  words", Text("5 %"))
    made.add_row("", "", "4 (1)", style="red")
    return made


def drawn(screen: Console) -> str:
    with screen.capture() as capture:
        screen.print(sheet())
    return capture.get()


def test_elsewhere_than_on_a_terminal_every_line_is_whole() -> None:
    assert drawn(Console(width=1000, file=io.StringIO())).splitlines() == [
        f"{'route':79}  in-flight  why",
        f"{LONG:79}  5%         two words",
        f"{LONG:79}  4(1)       -",
    ]


def test_on_a_narrow_terminal_nothing_is_cut() -> None:
    shown = drawn(Console(width=40, force_terminal=True, no_color=True, file=io.StringIO()))
    assert "\u2026" not in shown
    assert sum(shown.count(one) for one in "abcdefghijklmnopqrstuvwxyz-") >= len(LONG)
    assert "its-columns" in shown


def test_columns_that_find_no_room_stand_below_with_what_the_row_is_about() -> None:
    made = Sheet()
    for name in ("route", "version", *(f"figure-{number}" for number in range(9))):
        made.add_column(name, again=name == "route")
    made.add_row("shop", "stable", *map(str, range(9)))
    made.add_row("", "canary", *map(str, range(9)))
    screen = Console(width=60, force_terminal=True, color_system=None, no_color=True, file=io.StringIO())
    with screen.capture() as capture:
        screen.print(made)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capture.get().splitlines()]
    assert max(map(len, lines)) <= 60
    assert [line.split()[:2] for line in lines if line] == [
        pair for first in "048" for pair in (["route", "version"], ["shop", "stable"], ["canary", first])
    ]
    assert made.parts(200) == [list(range(11))]
    assert made.parts(60) == [[0, 1, 2, 3, 4, 5], [0, 1, 6, 7, 8, 9], [0, 1, 10]]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("12.5 %", "12.5%"),
        ("1.2 ms", "1.2ms"),
        ("4 (1)", "4(1)"),
        ("paused (manual)", "paused(manual)"),
        ("2026-11-28 02:00:00", "2026-11-28T02:00:00"),
        ("a.test, b.test", "a.test,b.test"),
        ("in flight", "in-flight"),
        ("", ""),
    ],
)
def test_a_cell_is_one_word(cell: str, expected: str) -> None:
    assert word(cell) == expected


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding)

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_terminal_is_drawn_on_unless_it_says_that_it_cannot() -> None:
    utf8, ascii_one = Terminal("utf-8"), Terminal("ascii")
    assert is_rich(utf8, {"TERM": "xterm"})
    assert draws_boxes(utf8, {"TERM": "xterm", "LANG": "en_US.UTF-8"})
    assert not is_rich(utf8, {"TERM": "dumb"})
    assert not draws_boxes(ascii_one, {"TERM": "xterm"})
    assert not draws_boxes(utf8, {"TERM": "xterm", "LANG": "C"})
    assert not is_rich(io.StringIO(), {})
    assert not is_rich(None, {})
    closed = io.StringIO()
    closed.close()
    assert not is_rich(closed, {})


def test_the_locale_says_whether_ascii_is_all_there_is() -> None:
    assert ascii_only({"LANG": "C"})
    assert ascii_only({"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"})
    assert not ascii_only({})
    assert not ascii_only({"LANG": "C.UTF-8"})
    assert not ascii_only({"LANG": "C", "PYTHONIOENCODING": "utf-8"})


def test_what_ascii_has_no_character_for_is_spelled() -> None:
    assert "20 \u2265 5 \u2026 \u00e9".encode(ASCII, HANDLER) == b"20 >= 5 ... \\xe9"
    assert "\udcc3".encode("utf-8", HANDLER) == b"\\udcc3"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", HANDLER)


def run(*arguments: str, environ: dict[str, str] | None = None, **more: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "canaryproxy", *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO"))}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(command, env={**clean, **(environ or {})}, timeout=60, check=False, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["status", "--help"], ["weight", "a"], ["check", str(CONFIG)], ["check", "caf\u00e9.yaml"]],
)
@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["ascii", "C", "not-coerced"],
)
def test_an_output_that_knows_ascii_alone_gets_nothing_else(arguments: list[str], environ: dict[str, str]) -> None:
    done = run(*arguments, environ=environ)
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    assert b"Traceback" not in done.stderr
    assert done.stdout or done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["check", str(CONFIG)], ["check", "--json", str(CONFIG)]])
def test_an_output_that_no_one_reads_ends_a_command_without_a_word(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (CLOSED, b"")


def test_a_full_disk_is_said_in_one_line() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a descriptor
        done = run("check", str(CONFIG), stdout=full.fileno())
    assert (done.returncode, done.stderr) == (1, b"the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("environ", "boxes"),
    [
        ({"TERM": "xterm", "LANG": "C.UTF-8"}, True),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, False),
        ({"TERM": "xterm", "LANG": "C"}, False),
    ],
)
def test_a_real_terminal_gets_boxes_only_where_it_knows_them(environ: dict[str, str], boxes: bool) -> None:
    ours, theirs = pty.openpty()
    done = run("--help", environ=environ, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:
        pass
    os.close(ours)
    assert done.returncode == 0
    assert ("\u256d".encode() in shown) is boxes
    assert boxes or shown.isascii()
