"""`canaryproxy history` and `report`: changes of a route, and the comparison of canary and stable in a rollout."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import Sheet, console, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, Token, exit_on_error, segment, show
from canaryproxy.cli.route import Route


def history(
    route: Route,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of entries, newest first.")] = 20,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show the changes of a route: when, by whom, and from where."""
    with exit_on_error():
        data = Remote(admin, token).call("GET", f"/api/v1/routes/{segment(route)}/history?limit={limit}")
    if as_json:
        say_json(data)
        return
    console().print(table(data))


def table(data: dict[str, Any]) -> Sheet:
    """The entries as a table, newest first."""
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


def report(
    route: Route,
    *,
    rollout: Annotated[str | None, typer.Option(help="Id of a rollout. [default: the last one]")] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Compare the canary of a rollout with stable; also after its end and after a reset."""
    base = f"/api/v1/routes/{segment(route)}"
    path = f"{base}/rollout/report" if rollout is None else f"{base}/rollouts/{segment(rollout)}/report"
    with exit_on_error():
        data = Remote(admin, token).call("GET", path)
    show(data, lines, as_json=as_json)


def lines(data: dict[str, Any]) -> list[str]:
    """A heading, the exposure of users, and a line per comparison; the verdict only before the end of a rollout."""
    exposed = data["exposed"]
    users = "" if exposed["users"] is None else f" of {exposed['users']:,} users"
    over = data["result"] in ("succeeded", "rolled_back", "superseded")
    return [
        heading(data),
        *([] if over else [f"verdict: {data['verdict']}: {data['reason']}"]),
        f"the canary got {exposed['requests']:,} requests{users} and failed {exposed['failed']:,}, "
        f"{exposed['beyond_stable']:.1f} more than stable would have",
        *(f"{one['name']}: {one['comparison']}: {one['sentence']}" for one in data["comparison"]),
    ]


def heading(data: dict[str, Any]) -> str:
    """The rollout and its result."""
    if data["rollout_id"] is None:
        return f"{data['route']}: no rollout yet"
    versions = data["canary_version"] or "an unnamed version"
    if data["stable_version"]:
        versions += f" beside {data['stable_version']}"
    why = f": {data['why']}" if data["why"] else ""
    return f"{data['route']}: rollout {data['rollout_id']} of {versions}, {data['result'].replace('_', ' ')}{why}"
