"""`canaryproxy history`: who did what to a route."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import Sheet, console, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.weight import segment


def history(
    route: Annotated[str, typer.Argument(help="Name of the route.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entries, the newest first.")] = 20,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show what was done to a route, when, and by whom."""
    try:
        data = Remote(admin, token).call("GET", f"/api/v1/routes/{segment(route)}/history?limit={limit}")
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(data)
        return
    console().print(table(data))


def table(data: dict[str, Any]) -> Sheet:
    """The entries, the newest first."""
    shown = Sheet()
    for column in ("when", "actor", "from", "what", "", "version", "rollout", "previous"):
        shown.add_column(column, free=not column)
    for entry in data["entries"]:
        generation = "" if entry["generation"] is None else str(entry["generation"])
        when = entry["at"].replace("T", " ").removesuffix("Z")
        about = (entry["canary_version"] or "", entry["rollout_id"] or "")
        row = (when, entry["actor"], entry["address"], entry["action"], entry["detail"], *about, generation)
        shown.add_row(*row)
    return shown
