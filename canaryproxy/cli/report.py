"""`canaryproxy report`: what the canary of a rollout was like beside stable."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.weight import segment


def report(
    route: Annotated[str, typer.Argument(help="Name of the route.")],
    *,
    rollout: Annotated[str | None, typer.Option(help="Id of one of its last rollouts; the last one without.")] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Say what the canary of the last rollout was like beside stable; also after its end, and after a reset."""
    base = f"/api/v1/routes/{segment(route)}"
    path = f"{base}/rollout/report" if rollout is None else f"{base}/rollouts/{segment(rollout)}/report"
    try:
        data = Remote(admin, token).call("GET", path)
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(data)
    else:
        say(*lines(data))


def lines(data: dict[str, Any]) -> list[str]:
    """A heading, what the canary was trusted with, and a line for everything that was compared. Of one that is over the
    heading says all; the verdict on leaving its last step is of no interest.
    """
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
    """Which rollout, and how it ended."""
    if data["rollout_id"] is None:
        return f"{data['route']}: no rollout yet"
    versions = data["canary_version"] or "a version without a name"
    if data["stable_version"]:
        versions += f" beside {data['stable_version']}"
    why = f": {data['why']}" if data["why"] else ""
    return f"{data['route']}: rollout {data['rollout_id']} of {versions}, {data['result'].replace('_', ' ')}{why}"
