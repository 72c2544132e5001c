"""`canaryproxy weight`: how much the canary gets."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail


def weight(
    route: Annotated[str, typer.Argument(help="Name of the route.")],
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="Share of the canary, such as 5, 0.25 or 12.5%.")],
    *,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Set the canary's share. When this returns 0, every worker follows it.

    `canaryproxy weight shop 12.5`
    """
    try:
        data = Remote(admin, token).call("PUT", f"/api/v1/routes/{segment(route)}/weight", {"canary": share(percent)})
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(data)
    else:
        say(sentence(data))


def share(text: str) -> float:
    """A percentage as written. Raises `typer.BadParameter`."""
    from canaryproxy.config.problems import InvalidValueError
    from canaryproxy.config.types.quantity import percent
    from canaryproxy.config.yaml.scalars import typed_scalar

    try:
        return percent(typed_scalar(text)) / 100
    except InvalidValueError as wrong:
        raise typer.BadParameter(wrong.hint, param_hint="PERCENT") from None


def segment(name: str) -> str:
    """A name as one segment of a path."""
    from urllib.parse import quote

    return quote(name, safe="", errors="surrogatepass")


def sentence(data: dict[str, Any]) -> str:
    """What holds now."""
    return (
        f"{data['route']}: {data['canary']:g} % to canary, {data['stable']:g} % to stable "
        f"(generation {data['generation']})"
    )
