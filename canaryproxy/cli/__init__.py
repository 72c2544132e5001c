"""The command line. Exit codes: 0 fine, 1 cannot start, invalid config or refused, 2 wrong usage; of `--wait` 1 rolled
back, 3 out of time, 4 superseded, 5 refused.

Each command is a module that imports what it needs when it runs, so `--help` answers at once.
"""

import os
import sys
from typing import Annotated

import typer

from canaryproxy import MODE, __version__
from canaryproxy.cli import output
from canaryproxy.cli.canary import canary
from canaryproxy.cli.check import check
from canaryproxy.cli.demo import demo
from canaryproxy.cli.explain import explain
from canaryproxy.cli.history import history
from canaryproxy.cli.probe import probe
from canaryproxy.cli.report import report
from canaryproxy.cli.rollout import abort, pause, promote, reset, resume, retry, start
from canaryproxy.cli.rules import rules
from canaryproxy.cli.run import run
from canaryproxy.cli.status import status
from canaryproxy.cli.weight import weight

app = typer.Typer(
    name="canaryproxy",
    help="Send an exact share of real traffic to a new version, and see how it does.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown" if output.draws_boxes(sys.stdout, os.environ) else None,
)


def _version(asked: bool) -> None:
    if asked:
        output.say(f"canaryproxy {__version__} ({MODE})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version, whether it runs compiled, and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


app.command()(run)
app.command()(check)
app.command()(explain)
app.command()(demo)
app.command()(probe)
app.command()(status)
app.command()(weight)
app.command()(canary)
app.command()(rules)
app.command()(history)
app.command()(report)
for verb in (start, pause, resume, promote, abort, retry, reset):
    app.command()(verb)


def main() -> None:
    """The console script."""
    output.prepare(os.environ)
    output.guarded(app)
