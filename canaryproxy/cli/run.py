"""`canaryproxy run`: run the proxy from a config file or from URLs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from canaryproxy.cli.output import say

if TYPE_CHECKING:
    from canaryproxy.config import Config
    from canaryproxy.config.load import ServerFlags


def run(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="Config file; reloaded on changes.")] = None,
    stable: Annotated[str | None, typer.Option(help="URL of stable, such as http://localhost:9001.")] = None,
    canary: Annotated[str | None, typer.Option(help="URL of the canary. [default: no canary]")] = None,
    weight: Annotated[str | None, typer.Option(help="Percentage for the canary, such as 5 or 0.25.")] = None,
    listen: Annotated[str | None, typer.Option(help="Address, such as :8080. [default: 127.0.0.1:8080]")] = None,
    admin_listen: Annotated[str | None, typer.Option(help="Admin API, or off. [default: 127.0.0.1:9900]")] = None,
    state: Annotated[str | None, typer.Option(help="State file, or memory. [default: ./canaryproxy.db]")] = None,
    workers: Annotated[str | None, typer.Option(help="Worker processes. [default: auto]")] = None,
) -> None:
    """Run the proxy from a config file, or from one or two URLs.

    `canaryproxy run shop.yaml`

    `canaryproxy run --stable http://localhost:9001 --canary http://localhost:9002 --weight 1`

    SIGHUP or a changed file reloads the routes. On SIGTERM and Ctrl-C, requests in flight are completed before exit.
    """
    from canaryproxy.app import supervisor
    from canaryproxy.app.instance import LogSetupError, StorageUnavailableError
    from canaryproxy.config import ConfigError
    from canaryproxy.config.load import ServerFlags
    from canaryproxy.log import configure
    from canaryproxy.processes.listen import ListenError
    from canaryproxy.processes.workers import IncompatibleWorkerError

    load = _source(config, stable, canary, weight, listen, ServerFlags(admin_listen, state, workers))
    try:
        loaded = load()
        configure(loaded.server.log.level, loaded.server.log.format)
        code = supervisor.run(loaded, load=load if config else None, path=config)
    except (ConfigError, ListenError, LogSetupError, StorageUnavailableError, IncompatibleWorkerError) as error:
        say(*str(error).splitlines(), err=True)
        code = 1
    raise typer.Exit(code)


def _source(
    path: Path | None,
    stable: str | None,
    canary: str | None,
    weight: str | None,
    listen: str | None,
    server: "ServerFlags",
) -> "Callable[[], Config]":
    """The function that loads the config. Raises `typer.BadParameter` for options that exclude one another."""
    from canaryproxy.config import from_flags, load

    flags = {
        "--stable": stable,
        "--canary": canary,
        "--weight": weight,
        "--listen": listen,
        "--admin-listen": server.admin_listen,
        "--state": server.state,
        "--workers": server.workers,
    }
    given = [flag for flag, value in flags.items() if value is not None]
    if path is not None:
        if given:
            raise typer.BadParameter(f"{', '.join(given)} cannot be combined with the config file {path}")
        return lambda: load(path, os.environ)
    if stable is None:
        raise typer.BadParameter("give a config file, or --stable URL and optionally --canary URL")
    return lambda: from_flags(stable, canary, weight, listen, server)
