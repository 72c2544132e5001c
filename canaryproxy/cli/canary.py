"""`canaryproxy canary`: the canary of a route, shown, set or removed."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Refused, Remote, Token, fail
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
            told = remote.call("DELETE", path)
        elif file is not None:
            told = remote.call("PUT", path, read_mapping(file, "canary: expected a mapping with `url`"))
        elif url is not None:
            told = remote.call("PUT", path, {"url": url})
        else:
            told = remote.call("GET", path)
    except Refused as error:
        raise fail(error) from None
    if as_json:
        say_json(told)
    else:
        say(sentence(told))


def sentence(told: dict[str, Any]) -> str:
    """What holds now."""
    if told["canary"] is None:
        return f"{told['route']}: no canary, by {told['source']}; all traffic goes to stable"
    text = f"{told['route']}: canary {where(told['canary'])}, by {told['source']}"
    return f"{text}, {told['weight']:g} % to canary, {told['phase']}" if "weight" in told else text


def where(canary: dict[str, Any]) -> str:
    """Its URLs."""
    return str(canary["url"]) if "url" in canary else " ".join(canary["endpoints"])
