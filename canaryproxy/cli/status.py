"""`canaryproxy status`: how every route stands, once, live, or until a rollout is over."""

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canaryproxy.cli.failures import failures
from canaryproxy.cli.goals import goals
from canaryproxy.cli.judgements import judgements
from canaryproxy.cli.output import Sheet, console, is_rich, line, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.rollout import sentence
from canaryproxy.cli.waiting import RolloutWaiter, Timeout, seconds
from canaryproxy.cli.waiting import wait as wait_for
from canaryproxy.cli.weight import segment

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text  # noqa: TID251 - the type alone

PERIOD_SECONDS = 1.0
"""Seconds between two looks."""


def status(
    route: Annotated[str | None, typer.Argument(help="One route; all without.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it live until Ctrl-C.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is ready and no rollout is under way.")] = False,
    rollout: Annotated[str | None, typer.Option(help="Id of the one to --wait for, as `start` says it.")] = None,
    timeout: Timeout = "10m",
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show weights, endpoints, what both versions did in the last minute, and what the judge thinks of the canary.

    With `--wait` it waits for the rollout of that id, or for those that are under way when it begins. The exit code is
    0 where it succeeded (or where there is none), 1 where it was rolled back, 3 when the time is over, 4 where another
    rollout took its place, 5 where the instance refuses.
    """
    if rollout is not None and (route is None or not wait):
        raise typer.BadParameter("it goes with ROUTE and --wait", param_hint="--rollout")
    remote, screen = Remote(admin, token), console()
    if wait:
        raise typer.Exit(wait_for(RolloutWaiter(remote, route, rollout), seconds(timeout), as_json=as_json))
    if watch:
        _watch(remote, route, screen)
        return
    try:
        routes = read_status(remote, route)
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(routes if route is None else routes[0])
    else:
        screen.print(page(routes))


def read_status(remote: Remote, route: str | None) -> list[dict[str, Any]]:
    """The routes, each with its stats of the last minute, what the judge says, and where its rollout stands. Raises
    `RemoteError`.
    """
    if route is None:
        routes = remote.call("GET", "/api/v1/routes")["routes"]
    else:
        routes = [remote.call("GET", f"/api/v1/routes/{segment(route)}")]
    paths = [f"/api/v1/routes/{segment(one['route'])}" for one in routes]
    parts = ("stats?window=60s", "analysis", "rollout")
    data = remote.gather(*(f"{path}/{part}" for part in parts for path in paths))
    count = len(paths)
    return [
        {**one, "stats": data[number], "analysis": data[count + number], "rollout": data[2 * count + number]}
        for number, one in enumerate(routes)
    ]


def _watch(remote: Remote, route: str | None, screen: "Console") -> None:
    """Live until Ctrl-C; an instance that is away is said to be, and looked for."""
    from contextlib import suppress

    from rich.live import Live

    def shown() -> "Group | Text":
        try:
            return page(read_status(remote, route))
        except RemoteError as error:
            return line(str(error), "red")

    with suppress(KeyboardInterrupt):
        if not is_rich(sys.stdout, os.environ):
            while True:
                screen.print(shown())
                time.sleep(PERIOD_SECONDS)
        with Live(shown(), console=screen, auto_refresh=False) as live:
            while True:
                time.sleep(PERIOD_SECONDS)
                live.update(shown(), refresh=True)


def page(routes: list[dict[str, Any]]) -> "Group":
    """The routes, their goals where they have some, and what is thought of their canaries."""
    from rich.console import Group

    parts: list[Sheet | Text | str] = [*trouble(routes), table(routes)]
    rollouts = [line(sentence(route["rollout"])) for route in routes if route["phase"] != "idle"]
    rollouts += [line(waits(route), "yellow") for route in routes if route.get("waiting_weight") is not None]
    if rollouts:
        parts += ["", *rollouts]
    for more in (goals(routes), judgements(routes), failures(routes)):
        if more is not None:
            parts += ["", more]
    return Group(*parts)


def trouble(routes: list[dict[str, Any]]) -> "list[Text | str]":
    """What is wrong with the state, which is that of the whole instance. Older instances do not say."""
    state = next((route["state"] for route in routes if "state" in route), None)
    if state is None or state["condition"] == "ok":
        return []
    return [line(f"state {state['condition'].replace('_', ' ')}: {state['detail']}", "red"), ""]


def waits(route: dict[str, Any]) -> str:
    """That the file says another weight, which has no effect yet."""
    until = "`reset`" if route["phase"] != "idle" else "a weight set by hand, or `reset`"
    return f"{route['route']}: the file's weight of {route['waiting_weight']:g} % waits for {until}"


def table(routes: list[dict[str, Any]]) -> Sheet:
    """A line for each version of each route."""
    shown = Sheet()
    for column in ("route", "version"):
        shown.add_column(column, again=column == "route")
    for column in (
        "weight",
        "observed",
        "endpoints",
        "req/min",
        "errors",
        "users (failed)",
        "p50",
        "p95",
        "p99",
        "in flight",
    ):
        shown.add_column(column, justify="right")
    for column in ("by", "phase"):
        shown.add_column(column, again=True)
    for route in routes:
        for version in ("stable", "canary") if route["canary"] is not None else ("stable",):
            first = version == "stable"
            cells = [
                route["route"] if first else "",
                version,
                *figures(route, version),
                route["source"] if first else "",
                _phase(route) if first else "",
            ]
            style = "red" if not first and route["reason"] else ""
            shown.add_row(*cells, style=style)
    return shown


def _phase(route: dict[str, Any]) -> str:
    if route["canary"] is None:
        return f"no canary ({route['reason']})" if route["reason"] else "no canary"
    return f"{route['phase']} ({route['reason']})" if route["reason"] else str(route["phase"])


def figures(route: dict[str, Any], version: str) -> list[str]:
    """The figures of a version: shares, endpoints that serve, and the last minute."""
    mine = route["stats"]["versions"][version]
    weight, observed = route["weight"], route["observed_weight"]
    if version == "stable":
        weight, observed = 100 - weight, None if observed is None else 100 - observed
    side = route["endpoints"][version]
    serving = sum(one["state"] in ("healthy", "unknown") for one in side)
    rate = mine["error_rate"]
    return [
        f"{round(weight, 2):g} %",
        "-" if observed is None else f"{observed:.2f} %",
        f"{serving}/{len(side)}",
        f"{mine['requests']:,}",
        "-" if rate is None else f"{100 * rate:.2f} %",
        "-" if mine["users"] is None else f"{mine['users']:,} ({mine['users_failed']:,})",
        *(_milliseconds(mine[name]) for name in ("p50", "p95", "p99")),
        str(mine["in_flight"]),
    ]


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.1f} ms"
