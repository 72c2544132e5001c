"""What commands print, fit for where it goes: a terminal, a pipe, a log, whatever characters it knows.

On a terminal tables are laid out for people, and nothing is cut: long cells go on in the next line. Elsewhere, and on
terminals that are `dumb`, a table is lines for grep and awk: a header, then one line a row, every cell one word, none
left out, none cut, and text of several words in the last column.

Part of what is printed was chosen by others: servers that answer, authors of requests and configs. It reaches
the terminal as visible characters alone, whichever command prints it. The only ways out are `say`, `say_json`, and a
`console` for what `line` and `Sheet` make.
"""

import codecs
import errno
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TextIO

import typer

from canaryproxy.escape import escaped, escaped_json, escaped_lines

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.segment import Segment
    from rich.text import Text

CLOSED = 128 + signal.SIGPIPE
"""The exit code where the output is closed before its end, as of a program that the signal ends."""

ENDLESS = 1_000_000
"""Columns of what is no terminal."""

KEYS = 2
"""Columns that say what a row of a table is about."""

GAP = 2
"""Spaces between two columns."""

WRAPPED = 30
"""Columns that text of several words needs at least; it goes on in the next line."""

DUMB = ("dumb", "unknown")
ASCII_LOCALES = ("C", "POSIX")

SPELLED = {"\u2265": ">=", "\u2264": "<=", "\u2192": "->", "\u2026": "...", "\u00d7": "x", "\u2013": "-", "\u2014": "-"}
"""What stands in for characters that an output does not know; others are shown escaped."""

HANDLER = "canaryproxy"
ASCII = "canaryproxy_ascii"


def spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """Stand-ins for characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    text = "".join(SPELLED.get(one) or one.encode("ascii", "backslashreplace").decode() for one in found)
    return text, error.end


def known(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: the command line's library writes UTF-8 to a stream that says it is ASCII."""
    if name != ASCII:
        return None
    base = codecs.lookup("ascii")
    return codecs.CodecInfo(
        base.encode, base.decode, base.streamreader, base.streamwriter, base.incrementalencoder,
        base.incrementaldecoder, name,
    )  # fmt: skip


codecs.register_error(HANDLER, spelled)
codecs.register(known)


def say(*lines: str, err: bool = False) -> None:
    """Print lines, each without anything that a terminal would follow or that would end it."""
    typer.echo("\n".join(map(escaped, lines)), err=err)


def line(text: str, style: str = "") -> "Text":
    """A line for a console."""
    from rich.text import Text

    return Text(escaped(text), style)


def say_json(document: object) -> None:
    """Print JSON for programs. It reads as what was given, and is ASCII that prints."""
    typer.echo(escaped_json(json.dumps(document, indent=2)))


def is_rich(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal that can be drawn on."""
    try:
        terminal = stream is not None and stream.isatty()
    except ValueError:
        return False
    return terminal and environ.get("TERM", "").lower() not in DUMB


def draws_boxes(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether it knows more than ASCII, too."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return is_rich(stream, environ) and encoding.startswith("utf") and not ascii_only(environ)


def ascii_only(environ: Mapping[str, str]) -> bool:
    """Whether the user says that the terminal knows nothing but ASCII: Python itself would write UTF-8 all the same."""
    if environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8") == "1":
        return False
    said = environ.get("LC_ALL") or environ.get("LANG") or ""
    return said in ASCII_LOCALES


def occupy() -> None:
    """Open what is closed of the three standard descriptors, for our child processes, too. Else the next socket or
    shared memory would have that number, and a log would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)


def prepare(environ: Mapping[str, str]) -> None:
    """Make the standard streams write whatever comes, or drop it where they are closed."""
    occupy()
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end
        elif hasattr(stream, "reconfigure"):
            plain = ascii_only(environ) or codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=ASCII if plain else stream.encoding, errors=HANDLER)


def guarded(command: Callable[[], None]) -> None:
    """Run a command; end quietly where its output is closed, and with a line where it cannot be written. An error
    that no code foresees is shown with its traceback, escaped as everything is.
    """
    code = 0
    try:
        try:
            command()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if type(sys.stdout).__name__ == "PacifyFlushWrapper":
                code = CLOSED
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - it is shown
            say(*traceback.format_exc().splitlines(), err=True)
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        code = CLOSED if error.errno == errno.EPIPE else _unwritten(error)
    if code == CLOSED:
        _drop()
    sys.exit(code)


def _unwritten(error: OSError) -> int:
    os.write(2, f"the output cannot be written: {error.strerror}\n".encode())
    _drop()
    return 1


def _drop() -> None:
    """What is still buffered goes nowhere, so the end of the interpreter has nothing to complain of."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def console() -> "Console":
    """Where commands print."""
    from rich.console import Console
    from rich.segment import Segment

    class Screen(Console):
        """A console that is not cut, and ends with the code of a closed pipe. Text is escaped below everything that
        lays it out, and has no markup.
        """

        def render(self, renderable: "RenderableType", options: "ConsoleOptions | None" = None) -> "Iterable[Segment]":
            """Segments to draw; only those of rich itself move the cursor."""
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else escaped_lines(text), style, control)

        def on_broken_pipe(self) -> None:
            _drop()
            raise SystemExit(CLOSED)

    drawn = is_rich(sys.stdout, os.environ)
    return Screen(
        width=None if drawn else ENDLESS, no_color=None if drawn else True, force_terminal=drawn, highlight=False,
        emoji=False, markup=False,
    )  # fmt: skip


class Sheet:
    """A table. Columns that are `again` leave out what the row above says; `free` ones hold text of several words."""

    def __init__(self) -> None:
        self._columns: list[tuple[str, str, bool, bool]] = []
        self._rows: list[tuple[tuple[str | Text, ...], str]] = []

    def __repr__(self) -> str:
        return f"<Sheet {len(self._columns)} columns, {self.row_count} rows>"

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def add_column(self, name: str, *, justify: str = "left", again: bool = False, free: bool = False) -> None:
        """One more column."""
        self._columns.append((name, justify, again, free))

    def add_row(self, *cells: "str | Text", style: str = "") -> None:
        """One more row. Cells are escaped before their widths are taken."""
        from rich.text import Text

        shown = (line(one.plain, str(one.style)) if isinstance(one, Text) else escaped(one) for one in cells)
        self._rows.append((tuple(shown), style))

    def lines(self) -> list[str]:
        """As lines for grep and awk."""
        order = sorted(range(len(self._columns)), key=lambda number: self._columns[number][3])
        rows = [[word(self._columns[number][0] or "detail") for number in order]]
        above = [""] * len(self._columns)
        for cells, _ in self._rows:
            texts = [str(cell) for cell in cells]
            for number, (_, _, again, _) in enumerate(self._columns):
                if again and not texts[number]:
                    texts[number] = above[number]
            above = texts
            rows.append([self._plain(texts[number], free=self._columns[number][3]) for number in order])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def _plain(self, text: str, *, free: bool) -> str:
        return (" ".join(text.split()) if free else word(text)) or "-"

    def __rich_console__(self, screen: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.table import Table
        from rich.text import Text

        if not screen.is_terminal or screen.is_dumb_terminal:
            yield Text("\n".join(self.lines()), no_wrap=True, overflow="ignore")
            return
        for place, chosen in enumerate(self.parts(options.max_width)):
            drawn = Table(box=None, pad_edge=False, header_style="bold")
            for name, justify, _, _ in map(self._columns.__getitem__, chosen):
                drawn.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
            for cells, style in self._rows:
                shown = map(cells.__getitem__, chosen)
                drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in shown), style=style)
            if place:
                yield Text("")
            yield drawn

    def parts(self, width: int) -> list[list[int]]:
        """The numbers of columns that fit beside one another. Where not all do, those to come stand below, each part
        beginning with the first two columns, which say what a row is about.
        """
        texts = [[str(cells[number]) for cells, _ in self._rows] for number in range(len(self._columns))]
        wide = [max(map(len, [name, *cells])) for (name, *_), cells in zip(self._columns, texts, strict=True)]
        needed = [min(size, WRAPPED) if free else size for size, (*_, free) in zip(wide, self._columns, strict=True)]
        keys = list(range(min(KEYS, len(self._columns))))
        found = [list(keys)]
        for number in range(len(keys), len(self._columns)):
            part = found[-1]
            if len(part) > len(keys) and sum(needed[one] + GAP for one in (*part, number)) - GAP > width:
                found.append([*keys])
            found[-1].append(number)
        return found


def word(text: str) -> str:
    """A cell as one word: `5 %` as `5%`, `1.2 ms` as `1.2ms`, `4 (1)` as `4(1)`, a moment with a T."""
    joined = re.sub(r"(?<=\d) (?=(?:%|ms|s|min)(?: |$))", "", text.strip())
    joined = re.sub(r"(\d{4}-\d\d-\d\d) (?=\d)", r"\1T", joined).replace(" (", "(").replace(", ", ",")
    return re.sub(r"\s+", "-", joined)
