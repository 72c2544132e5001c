"""Who fails, and why: endpoints at their health checks, and services that are asked or called; for `status`."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from canaryproxy.cli.output import Sheet


def failures(routes: Iterable[dict[str, Any]]) -> Sheet | None:
    """A line for each of them; None where nothing fails."""
    shown = Sheet()
    for column in ("route", "fails", "name", "state", "in a row", "since (UTC)", "because"):
        shown.add_column(column, justify="right" if column == "in a row" else "left", free=column == "because")
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
    """Those whose last health check failed."""
    for version in ("stable", "canary"):
        for one in (route["endpoints"] or {}).get(version) or ():
            check = one.get("check")
            if check is not None and not check["passed"]:
                yield version, one


def moment(seconds: float) -> str:
    """A moment since 1970 as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
