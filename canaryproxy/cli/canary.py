"""`canaryproxy canary`: the canary of a route, shown, set or removed."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.rules import read_mapping
from canaryproxy.cli.weight import segment


def canary(
    route: Annotated[str, typer.Argument(help="Name of the route.")],
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Make this the canary, such as http://shop-canary:8080.")
    ] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Make what this file says the canary (YAML or JSON, as in the config), - for stdin."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the canary; nothing may be sent to it.")] = False,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show the canary of a route, set it, or remove it. A new canary begins at weight 0.

    `canaryproxy canary shop http://shop-canary:8080`

    `canaryproxy canary shop --remove`
    """
    if sum((url is not None, file is not None, remove)) > 1:
        raise typer.BadParameter("give one of URL, --file and --remove")
    remote, path = Remote(admin, token), f"/api/v1/routes/{segment(route)}/canary"
    try:
        if remove:
            data = remote.call("DELETE", path)
        elif file is not None:
            data = remote.call("PUT", path, read_mapping(file, "canary: expected a mapping with `url`"))
        elif url is not None:
            data = remote.call("PUT", path, {"url": url})
        else:
            data = remote.call("GET", path)
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(data)
    else:
        say(sentence(data))


def sentence(data: dict[str, Any]) -> str:
    """What holds now."""
    if data["canary"] is None:
        return f"{data['route']}: no canary, by {data['source']}; all traffic goes to stable"
    text = f"{data['route']}: canary {where(data['canary'])}, by {data['source']}"
    return f"{text}, {data['weight']:g} % to canary, {data['phase']}" if "weight" in data else text


def where(canary: dict[str, Any]) -> str:
    """Its URLs."""
    return str(canary["url"]) if "url" in canary else " ".join(canary["endpoints"])
