"""`canaryproxy check`: validate a config file and show its routes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canaryproxy.cli.output import Sheet, console, line, say, say_json

if TYPE_CHECKING:
    from canaryproxy.config import Config


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Config file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate a config file and show its routes.

    Every problem is printed with file, line, key path and suggested fix; the exit code is then 1.
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


def summary(config: "Config") -> list[dict[str, Any]]:
    """The routes as JSON data; weights in percent."""
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
    screen, table, notes = console(), Sheet(), []
    for column in ("route", "hosts", "paths", "stable", "canary", "weight"):
        table.add_column(column)
    for route in summary(config):
        name, canary = route["name"], route["canary"]
        split = ("-", "-") if canary is None else (canary.replace(" ", ", "), f"{route['weight']:g} %")
        stable = route["stable"].replace(" ", ", ")
        table.add_row(name, ", ".join(route["hosts"]) or "any", ", ".join(route["paths"]), stable, *split)
        if route["rules"]:
            notes.append(f"{name}: rules {', '.join(route['rules'])}")
        if config.routes[name].affinity is not None:
            notes.append(f"{name}: affinity by {route['affinity']}")
    listening = ", ".join(str(listener.address) for listener in config.server.listen)
    screen.print(line(f"{path} is valid; it listens on {listening}."))
    screen.print(table)
    for note in notes:
        screen.print(line(note))
    for warning in warnings:
        screen.print(line(f"warning: {warning}", "yellow"))
