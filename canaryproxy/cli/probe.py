"""`canaryproxy probe`: the options of it, for help and errors; `canaryproxy.probe` asks."""

import os
from typing import Annotated

import typer

from canaryproxy import probe as probing


def probe(
    what: Annotated[str, typer.Argument(metavar="live|ready", help="What is asked.")] = "live",
    socket: Annotated[
        str | None,
        typer.Option(
            envvar=probing.SOCKET,
            metavar="PATH",
            help="Its `server.probes.socket`. A relative path counts from STATE_DIRECTORY. [default: probes.sock]",
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Ask there where there is no such socket file.")
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="SECONDS", help="Time for the whole answer.")] = "2",
) -> None:
    """Ask the instance beside us whether it lives or is ready, on its Unix socket. Exit code 0 says yes, 1 no.

    `canaryproxy probe ready --socket /run/canaryproxy/probes.sock`
    """
    if what not in probing.PATHS:
        raise typer.BadParameter("expected live or ready")
    seconds = probing.patience(timeout)
    if seconds is None:
        raise typer.BadParameter(
            f"expected seconds up to {probing.MAX_TIMEOUT_SECONDS:g}, such as 2", param_hint="--timeout"
        )
    raise typer.Exit(probing.run(probing.Question(what, socket or "", address or "", seconds), os.environ))
