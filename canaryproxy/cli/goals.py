"""The business results of both versions side by side, as `canaryproxy status` shows them."""

from collections.abc import Iterable
from typing import Any

from canaryproxy.cli.output import Sheet


def goals(routes: Iterable[dict[str, Any]]) -> Sheet | None:
    """A line for every goal of every route; None where no route has one."""
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
            cells = [cell for side in versions for cell in figures(side.get(goal))]
            shown.add_row(route["route"], goal, *cells)
    return shown if shown.row_count else None


def figures(goal: dict[str, Any] | None) -> list[str]:
    """How often, what it was worth, and its share of requests and of users; dashes where there is no such version."""
    if goal is None:
        return ["-"] * 4
    shares = [goal["per_request"], goal["per_user"]]
    return [
        f"{goal['events']:,}",
        f"{goal['value']:,.2f}",
        *("-" if one is None else f"{100 * one:.2f} %" for one in shares),
    ]
