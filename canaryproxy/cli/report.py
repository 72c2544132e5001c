"""`canaryproxy report`: what the canary of a rollout was like beside stable."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Refused, Remote, Token, fail
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
        told = Remote(admin, token).call("GET", path)
    except Refused as error:
        raise fail(error) from None
    if as_json:
        say_json(told)
    else:
        say(*lines(told))


def lines(told: dict[str, Any]) -> list[str]:
    """A heading, what the canary was trusted with, and a line for everything that was compared. Of one that is over the
    heading says all; the verdict on leaving its last step is of no interest.
    """
    exposed = told["exposed"]
    users = "" if exposed["users"] is None else f" of {exposed['users']:,} users"
    over = told["result"] in ("succeeded", "rolled_back", "superseded")
    return [
        heading(told),
        *([] if over else [f"verdict: {told['verdict']}: {told['reason']}"]),
        f"the canary got {exposed['requests']:,} requests{users} and failed {exposed['failed']:,}, "
        f"{exposed['beyond_stable']:.1f} more than stable would have",
        *(f"{one['name']}: {one['comparison']}: {one['sentence']}" for one in told["comparison"]),
    ]


def heading(told: dict[str, Any]) -> str:
    """Which rollout, and how it ended."""
    if told["rollout_id"] is None:
        return f"{told['route']}: no rollout yet"
    versions = told["canary_version"] or "a version without a name"
    if told["stable_version"]:
        versions += f" beside {told['stable_version']}"
    why = f": {told['why']}" if told["why"] else ""
    return f"{told['route']}: rollout {told['rollout_id']} of {versions}, {told['result'].replace('_', ' ')}{why}"
