"""`canaryproxy check`: is a config valid, and what does it mean?"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from canaryproxy.cli.output import Sheet, console, line, say, say_json

if TYPE_CHECKING:
    from canaryproxy.config import Config


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Config file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate a config file and show what it means.

    Every problem is printed with its file, line, path and suggested fix; the exit code is 1 then.
    """
    from canaryproxy.config import ConfigError, load
    from canaryproxy.processes.machine import reachable_files
    from canaryproxy.processes.machine import warnings as lacking

    try:
        loaded = load(config, os.environ)
    except ConfigError as error:
        if as_json:
            say_json({"valid": False, "problems": [str(problem) for problem in error.problems]})
        else:
            say(*map(str, error.problems), err=True)
        raise typer.Exit(1) from None
    warnings = [*loaded.warnings, *lacking(loaded, reachable_files())]
    if as_json:
        say_json({"valid": True, "routes": summary(loaded), "warnings": warnings})
    else:
        _show(config, loaded, warnings)


def summary(config: "Config") -> list[dict[str, object]]:
    """The routes as plain data: what is matched, where it goes, the canary's share in percent, who is exempt."""
    from canaryproxy.config.types.affinity import affinity_text

    return [
        {
            "name": name,
            "hosts": list(route.hosts),
            "paths": list(route.paths),
            "stable": " ".join(map(str, route.stable.origins)),
            "canary": None if route.canary is None else " ".join(map(str, route.canary.origins)),
            "weight": route.weight / 100,
            "rules": [rule.name for rule in route.rules],
            "affinity": affinity_text(route.affinity),
        }
        for name, route in config.routes.items()
    ]


def _show(path: Path, config: "Config", warnings: list[str]) -> None:
    from canaryproxy.config.types.affinity import affinity_text

    screen = console()
    table = Sheet()
    for column in ("route", "hosts", "paths", "stable", "canary", "weight"):
        table.add_column(column)
    for route in summary(config):
        hosts, paths = route["hosts"], route["paths"]
        table.add_row(
            str(route["name"]),
            ", ".join(hosts) if isinstance(hosts, list) and hosts else "any",
            ", ".join(paths) if isinstance(paths, list) else "",
            str(route["stable"]).replace(" ", ", "),
            "-" if route["canary"] is None else str(route["canary"]).replace(" ", ", "),
            "-" if route["canary"] is None else f"{route['weight']:g} %",
        )
    listening = ", ".join(str(listener.address) for listener in config.server.listen)
    screen.print(line(f"{path} is valid; it listens on {listening}."))
    screen.print(table)
    for name, written in config.routes.items():
        if written.rules:
            names = ", ".join(rule.name for rule in written.rules)
            screen.print(line(f"{name}: rules {names}"))
        if written.affinity is not None:
            screen.print(line(f"{name}: affinity by {affinity_text(written.affinity)}"))
    for words in warnings:
        screen.print(line(f"warning: {words}", "yellow"))
