"""Output of the commands for terminals, pipes and logs, in any character set.

On a terminal, tables are drawn and long cells wrap. Elsewhere, and on `dumb` terminals, a table is lines for grep and
awk: a header, then one line per row; every cell is one word, and free text is in the last column.

Parts of the output come from others: servers, requests, configs. Control characters in it never reach the terminal:
all output passes through `say`, `say_json`, or a `console` that prints `line` and `Sheet`.
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

# Exit code if the output is closed early, as of a program killed by SIGPIPE.
CLOSED = 128 + signal.SIGPIPE

# Width of an output that is not a terminal.
ENDLESS = 1_000_000

# Number of columns that identify a row.
KEYS = 2

# Spaces between two columns.
GAP = 2

# Minimum width of a column of wrapped text.
WRAPPED = 30

DUMB = ("dumb", "unknown")
ASCII_LOCALES = ("C", "POSIX")

# Replacements for characters outside the output's character set; others are escaped.
SPELLED = {"\u2265": ">=", "\u2264": "<=", "\u2192": "->", "\u2026": "...", "\u00d7": "x", "\u2013": "-", "\u2014": "-"}

HANDLER = "canaryproxy"
ASCII = "canaryproxy_ascii"


def spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """The codec error handler: replaces characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    text = "".join(SPELLED.get(one) or one.encode("ascii", "backslashreplace").decode() for one in found)
    return text, error.end


def known(name: str) -> codecs.CodecInfo | None:
    """The codec search function for ASCII under another name: click writes UTF-8 to streams named ascii."""
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
    """Print lines; control characters and line breaks in them are escaped."""
    typer.echo("\n".join(map(escaped, lines)), err=err)


def line(text: str, style: str = "") -> "Text":
    """An escaped line for a console."""
    from rich.text import Text

    return Text(escaped(text), style)


def say_json(document: object) -> None:
    """Print JSON, in printable ASCII."""
    typer.echo(escaped_json(json.dumps(document, indent=2)))


def is_rich(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal with cursor control."""
    try:
        terminal = stream is not None and stream.isatty()
    except ValueError:
        return False
    return terminal and environ.get("TERM", "").lower() not in DUMB


def draws_boxes(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether the terminal also supports UTF-8."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return is_rich(stream, environ) and encoding.startswith("utf") and not ascii_only(environ)


def ascii_only(environ: Mapping[str, str]) -> bool:
    """Whether the locale is ASCII: Python would write UTF-8 all the same."""
    if environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8") == "1":
        return False
    return (environ.get("LC_ALL") or environ.get("LANG") or "") in ASCII_LOCALES


def occupy() -> None:
    """Open closed standard descriptors, also for child processes: a socket with that number would get the log."""
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
    """Make the standard streams accept any text; closed ones discard it."""
    occupy()
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end
        elif hasattr(stream, "reconfigure"):
            plain = ascii_only(environ) or codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=ASCII if plain else stream.encoding, errors=HANDLER)


def guarded(command: Callable[[], None]) -> None:
    """Run a command and exit. A closed output ends it silently, an unwritable one with a message; unexpected errors
    are shown with an escaped traceback.
    """
    code = 0
    try:
        try:
            command()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            # click wraps stdout with this class after EPIPE and hides the error.
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
        code = CLOSED
        if error.errno != errno.EPIPE:
            os.write(2, f"the output cannot be written: {error.strerror}\n".encode())
            code = 1
        _drop()
    if code == CLOSED:
        _drop()
    sys.exit(code)


def _drop() -> None:
    """Discard buffered output, so that the interpreter reports no error at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def console() -> "Console":
    """The console of a command."""
    from rich.console import Console
    from rich.segment import Segment

    class Screen(Console):
        """A console that escapes text after layout and exits with `CLOSED` on a closed pipe."""

        def render(self, renderable: "RenderableType", options: "ConsoleOptions | None" = None) -> "Iterable[Segment]":
            """Escape all segments but rich's own control sequences."""
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
    """A table. `again` columns omit repeated values; `free` columns contain text of several words."""

    def __init__(self) -> None:
        self._columns: list[tuple[str, str, bool, bool]] = []
        self._rows: list[tuple[tuple[str | Text, ...], str]] = []

    def __repr__(self) -> str:
        return f"<Sheet {len(self._columns)} columns, {self.row_count} rows>"

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def add_column(self, name: str, *, justify: str = "left", again: bool = False, free: bool = False) -> None:
        """Add a column."""
        self._columns.append((name, justify, again, free))

    def add_row(self, *cells: "str | Text", style: str = "") -> None:
        """Add a row. Cells are escaped before their widths are measured."""
        from rich.text import Text

        shown = (line(one.plain, str(one.style)) if isinstance(one, Text) else escaped(one) for one in cells)
        self._rows.append((tuple(shown), style))

    def lines(self) -> list[str]:
        """The table as lines for grep and awk."""
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
        for number, chosen in enumerate(self.parts(options.max_width)):
            drawn = Table(box=None, pad_edge=False, header_style="bold")
            for name, justify, _, _ in map(self._columns.__getitem__, chosen):
                drawn.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
            for cells, style in self._rows:
                shown = map(cells.__getitem__, chosen)
                drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in shown), style=style)
            if number:
                yield Text("")
            yield drawn

    def parts(self, width: int) -> list[list[int]]:
        """Column numbers of each part of a table that is too wide; every part starts with the key columns."""
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
    """A cell as one word: `5 %` becomes `5%`, `4 (1)` becomes `4(1)`, a date and time is joined by T."""
    joined = re.sub(r"(?<=\d) (?=(?:%|ms|s|min)(?: |$))", "", text.strip())
    joined = re.sub(r"(\d{4}-\d\d-\d\d) (?=\d)", r"\1T", joined).replace(" (", "(").replace(", ", ",")
    return re.sub(r"\s+", "-", joined)
