"""`canaryproxy probe`: help and errors of its options; `canaryproxy.probe` makes the request."""

import os
from typing import Annotated

import typer

from canaryproxy import probe as probing


def probe(
    what: Annotated[str, typer.Argument(metavar="live|ready", help="Liveness or readiness.")] = "live",
    socket: Annotated[
        str | None,
        typer.Option(
            envvar=probing.SOCKET,
            metavar="PATH",
            help="`server.probes.socket`, relative to STATE_DIRECTORY. [default: probes.sock]",
        ),
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Used without a socket file.")] = None,
    timeout: Annotated[str, typer.Option(metavar="SECONDS", help="Time limit.")] = "2",
) -> None:
    """Check liveness or readiness of the local instance over its Unix socket. Exit code 0: yes, 1: no.

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
