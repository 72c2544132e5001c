"""The command line. Exit codes: 0 success; 1 cannot start, invalid config or refused; 2 wrong usage. With `--wait`: 1
rolled back, 3 timeout, 4 superseded, 5 refused.

Commands import what they need when they run, so that `--help` is fast.
"""

import os
import sys
from typing import Annotated

import typer

from canaryproxy import MODE, __version__
from canaryproxy.cli import output
from canaryproxy.cli.check import check
from canaryproxy.cli.demo import demo
from canaryproxy.cli.explain import explain
from canaryproxy.cli.history import history, report
from canaryproxy.cli.rollout import abort, pause, promote, reset, resume, retry, start
from canaryproxy.cli.route import canary, rules, weight
from canaryproxy.cli.run import probe, run
from canaryproxy.cli.status import status

app = typer.Typer(
    name="canaryproxy",
    help="Send an exact share of live traffic to a new version, compare it with the old one, roll back if it fails.",
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
        typer.Option("--version", callback=_version, is_eager=True, help="Print version and mode (compiled, plain)."),
    ] = False,
) -> None:
    """Options before the command."""


for command in (run, check, explain, demo, probe, status, weight, canary, rules, history, report):
    app.command()(command)
for verb in (start, pause, resume, promote, abort, retry, reset):
    app.command()(verb)


def main() -> None:
    """The console script."""
    output.prepare(os.environ)
    output.guarded(app)
