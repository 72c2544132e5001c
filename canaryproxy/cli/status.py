"""`canaryproxy status`: the state of routes, once, live, or until a rollout is over."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canaryproxy.cli.output import Sheet, console, is_rich, line, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, exit_on_error, segment
from canaryproxy.cli.rollout import sentence
from canaryproxy.cli.waiting import RolloutWaiter, Timeout, seconds
from canaryproxy.cli.waiting import wait as wait_for

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text  # noqa: TID251 - the type alone

# Interval of `--watch`.
PERIOD_SECONDS = 1.0

STYLES = {"fail": "red", "worse": "red", "pass": "green", "better": "green"}


def status(
    route: Annotated[str | None, typer.Argument(help="Name of a route. [default: all]")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Update until Ctrl-C.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until ready and no rollout is under way.")] = False,
    rollout: Annotated[str | None, typer.Option(help="With --wait: id of the rollout, as printed by `start`.")] = None,
    timeout: Timeout = "10m",
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show weights, endpoints, statistics of the last minute, and the verdict on the canary.

    `--wait` waits for the given rollout, or for all rollouts that are under way at the start. Exit codes: 0 succeeded
    (or no rollout), 1 rolled back, 3 timeout, 4 replaced by another rollout, 5 refused by the instance.
    """
    if rollout is not None and (route is None or not wait):
        raise typer.BadParameter("requires ROUTE and --wait", param_hint="--rollout")
    remote, screen = Remote(admin, token), console()
    if wait:
        raise typer.Exit(wait_for(RolloutWaiter(remote, route, rollout), seconds(timeout), as_json=as_json))
    if watch:
        _watch(remote, route, screen)
        return
    with exit_on_error():
        routes = read_status(remote, route)
    if as_json:
        say_json(routes if route is None else routes[0])
    else:
        screen.print(page(routes))


def read_status(remote: Remote, route: str | None) -> list[dict[str, Any]]:
    """The routes, each with its statistics of the last minute, analysis and rollout. Raises `RemoteError`."""
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
    """Show the status until Ctrl-C. Errors are shown in its place, and the call is retried."""
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
    """All tables and messages of the status."""
    from rich.console import Group

    parts: list[Sheet | Text | str] = [*trouble(routes), table(routes)]
    rollouts = [line(sentence(route["rollout"])) for route in routes if route["phase"] != "idle"]
    rollouts += [line(pending_weight(route), "yellow") for route in routes if route.get("waiting_weight") is not None]
    if rollouts:
        parts += ["", *rollouts]
    for more in (goals(routes), judgements(routes), failures(routes)):
        if more is not None:
            parts += ["", more]
    return Group(*parts)


def trouble(routes: list[dict[str, Any]]) -> "list[Text | str]":
    """A warning about the state file of the instance. Older instances do not report it."""
    state = next((route["state"] for route in routes if "state" in route), None)
    if state is None or state["condition"] == "ok":
        return []
    return [line(f"state {state['condition'].replace('_', ' ')}: {state['detail']}", "red"), ""]


def pending_weight(route: dict[str, Any]) -> str:
    """A weight in the file that has no effect yet."""
    until = "`reset`" if route["phase"] != "idle" else "a weight set by hand, or `reset`"
    return f"{route['route']}: weight {route['waiting_weight']:g} % of the file is pending until {until}"


def table(routes: list[dict[str, Any]]) -> Sheet:
    """A row per route and version."""
    shown = Sheet()
    for column in ("route", "version"):
        shown.add_column(column, again=column == "route")
    traffic = ("weight", "observed", "endpoints", "req/min", "errors", "users (failed)")
    for column in (*traffic, "p50", "p95", "p99", "in flight"):
        shown.add_column(column, justify="right")
    for column in ("by", "phase"):
        shown.add_column(column, again=True)
    for route in routes:
        for version in ("stable", "canary") if route["canary"] is not None else ("stable",):
            first = version == "stable"
            name, *more = (route["route"], route["source"], _phase(route)) if first else ("", "", "")
            style = "red" if not first and route["reason"] else ""
            shown.add_row(name, version, *figures(route, version), *more, style=style)
    return shown


def _phase(route: dict[str, Any]) -> str:
    if route["canary"] is None:
        return f"no canary ({route['reason']})" if route["reason"] else "no canary"
    return f"{route['phase']} ({route['reason']})" if route["reason"] else str(route["phase"])


def figures(route: dict[str, Any], version: str) -> list[str]:
    """The numbers of a version: weights, serving endpoints, statistics of the last minute."""
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


def goals(routes: Iterable[dict[str, Any]]) -> Sheet | None:
    """Goals of both versions side by side; None if no route has goals."""
    shown = Sheet()
    for column in ("route", "goal"):
        shown.add_column(column)
    for version in ("stable", "canary"):
        for column in ("events", "value", "of requests", "of users"):
            shown.add_column(f"{version} {column}", justify="right")
    for route in routes:
        data = route["stats"]["versions"]
        versions = [data[version]["goals"] if data[version] else {} for version in ("stable", "canary")]
        for goal in versions[0]:
            cells = [cell for side in versions for cell in goal_cells(side.get(goal))]
            shown.add_row(route["route"], goal, *cells)
    return shown if shown.row_count else None


def goal_cells(goal: dict[str, Any] | None) -> list[str]:
    """Events, value, and shares of requests and users; dashes without that version."""
    if goal is None:
        return ["-"] * 4
    shares = ("-" if one is None else f"{100 * one:.2f} %" for one in (goal["per_request"], goal["per_user"]))
    return [f"{goal['events']:,}", f"{goal['value']:,.2f}", *shares]


def judgements(routes: list[dict[str, Any]]) -> Sheet | None:
    """Verdict and checks of each canary that receives traffic; None without such a canary."""
    judged = [route for route in routes if route["weight"] and "analysis" in route]
    if not judged:
        return None
    shown = Sheet()
    for column in ("route", "check", "verdict", "comparison", "reason"):
        shown.add_column(column, again=column == "route", free=column == "reason")
    for route in judged:
        analysis = route["analysis"]
        shown.add_row(route["route"], "", _styled(analysis["verdict"]), "", analysis["reason"])
        for check in analysis["checks"]:
            verdict, comparison = _styled(check["verdict"]), _styled(check["comparison"] or "")
            shown.add_row("", check["name"], verdict, comparison, _reason(check))
    return shown


def _styled(word: str) -> "Text":
    return line(word, STYLES.get(word, ""))


def _reason(check: dict[str, Any]) -> str:
    return f"{check['sentence']}; {check['missing']}" if check["missing"] else str(check["sentence"])


def failures(routes: Iterable[dict[str, Any]]) -> Sheet | None:
    """Failing health checks and dependencies of all routes; None if nothing fails."""
    shown = Sheet()
    for column in ("route", "fails", "name", "state", "in a row", "since (UTC)", "reason"):
        shown.add_column(column, justify="right" if column == "in a row" else "left", free=column == "reason")
    for route in routes:
        for version, one in _endpoints(route):
            check = one["check"]
            shown.add_row(
                route["route"], version, one["endpoint"], one["state"], str(check["consecutive"]),
                moment(check["since"]), check["reason"], style="red" if one["state"] == "unhealthy" else "",
            )  # fmt: skip
        for one in route.get("failing", ()):
            since = moment(one["since"])
            shown.add_row(route["route"], one["what"], one["name"], "-", str(one["consecutive"]), since, one["reason"])
    return shown if shown.row_count else None


def _endpoints(route: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Endpoints whose last health check failed."""
    for version in ("stable", "canary"):
        for one in (route["endpoints"] or {}).get(version) or ():
            check = one.get("check")
            if check is not None and not check["passed"]:
                yield version, one


def moment(seconds: float) -> str:
    """Seconds since 1970 as date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
