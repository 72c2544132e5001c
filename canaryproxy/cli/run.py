"""`canaryproxy run` and `probe`: run an instance from a config file or URLs, and check its health."""

import os
from pathlib import Path
from typing import Annotated

import typer

from canaryproxy import probe as probing
from canaryproxy.cli.output import say


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
    from canaryproxy.config import Config, ConfigError, from_flags, load
    from canaryproxy.config.load import ServerFlags
    from canaryproxy.log import configure
    from canaryproxy.processes.listen import ListenError
    from canaryproxy.processes.workers import IncompatibleWorkerError

    main = {"--stable": stable, "--canary": canary, "--weight": weight, "--listen": listen}
    options = {**main, "--admin-listen": admin_listen, "--state": state, "--workers": workers}
    given = [flag for flag, value in options.items() if value is not None]
    if config is not None and given:
        raise typer.BadParameter(f"{', '.join(given)} cannot be combined with the config file {config}")

    def read() -> Config:
        if config is not None:
            return load(config, os.environ)
        if stable is None:
            raise typer.BadParameter("give a config file, or --stable URL and optionally --canary URL")
        return from_flags(stable, canary, weight, listen, ServerFlags(admin_listen, state, workers))

    try:
        loaded = read()
        configure(loaded.server.log.level, loaded.server.log.format)
        code = supervisor.run(loaded, load=read if config else None, path=config)
    except (ConfigError, ListenError, LogSetupError, StorageUnavailableError, IncompatibleWorkerError) as error:
        say(*str(error).splitlines(), err=True)
        code = 1
    raise typer.Exit(code)


def probe(
    what: Annotated[str, typer.Argument(metavar="live|ready", help="Liveness or readiness.")] = "live",
    socket: Annotated[
        str | None,
        typer.Option(envvar=probing.SOCKET, metavar="PATH", help="The probes' socket. [default: probes.sock]"),
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
        limit = f"{probing.MAX_TIMEOUT_SECONDS:g}"
        raise typer.BadParameter(f"expected seconds up to {limit}, such as 2", param_hint="--timeout")
    raise typer.Exit(probing.run(probing.Question(what, socket or "", address or "", seconds), os.environ))
