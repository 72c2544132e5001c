"""`canaryproxy run`: serve a config file, or two URLs."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from canaryproxy.config import Config


def run(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Config file; reloaded when it changes.")
    ] = None,
    stable: Annotated[
        str | None, typer.Option(help="URL of the stable version, such as http://localhost:9001.")
    ] = None,
    canary: Annotated[str | None, typer.Option(help="URL of the canary version.")] = None,
    weight: Annotated[
        str | None, typer.Option(help="Percentage of requests for the canary, such as 5 or 0.25.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Address to listen on, such as :8080. [default: 127.0.0.1:8080]")
    ] = None,
) -> None:
    """Run the proxy from a config file, or from two URLs.

    `canaryproxy run shop.yaml`

    `canaryproxy run --stable http://localhost:9001 --canary http://localhost:9002 --weight 1`

    SIGHUP or a changed file reloads the routes; SIGTERM and Ctrl-C finish what is open first.
    """
    from canaryproxy import supervisor
    from canaryproxy.config import ConfigError
    from canaryproxy.control.listen import CannotListen

    load = _source(config, stable, canary, weight, listen)
    configure_logging()
    try:
        code = supervisor.run(load(), load=load if config else None, path=config)
    except (ConfigError, CannotListen, supervisor.CannotLog) as error:
        typer.echo(str(error), err=True)
        code = 1
    raise typer.Exit(code)


def _source(
    path: Path | None, stable: str | None, canary: str | None, weight: str | None, listen: str | None
) -> "Callable[[], Config]":
    """How the config is read, from what was given. Raises `typer.BadParameter` for what does not go together."""
    from canaryproxy.config import from_flags, load

    flags = {"--stable": stable, "--canary": canary, "--weight": weight, "--listen": listen}
    given = [flag for flag, value in flags.items() if value is not None]
    if path is not None:
        if given:
            raise typer.BadParameter(f"{', '.join(given)} and the file {path} both say what to run; give one of them")
        return lambda: load(path, os.environ)
    if stable is None or canary is None:
        raise typer.BadParameter("give a config file, or both --stable URL and --canary URL")
    return lambda: from_flags(stable, canary, weight, listen)


def configure_logging() -> None:
    """Log lines for people, on standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
