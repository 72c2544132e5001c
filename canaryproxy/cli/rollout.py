"""`canaryproxy start`, `pause`, `resume`, `promote`, `abort`, `retry`, `reset`: the verbs of a rollout."""

import json
from typing import Annotated, Any

import typer

from canaryproxy.cli.remote import ADMIN, GATED, PATIENCE, Admin, Json, Refused, Remote, Token, fail
from canaryproxy.cli.weight import segment

ASK_GATES = ("start", "retry")
"""Verbs that somebody else may have to agree to."""

Route = Annotated[str, typer.Argument(help="Name of the route.")]


def start(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Begin a rollout: raise the canary step by step, and take it back if it fails."""
    _do(route, "start", admin, token, as_json=as_json)


def pause(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Stay at this step. A canary that fails is taken back all the same."""
    _do(route, "pause", admin, token, as_json=as_json)


def resume(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Go on after a pause."""
    _do(route, "resume", admin, token, as_json=as_json)


def promote(
    route: Route,
    *,
    full: Annotated[bool, typer.Option("--full", help="To 100 % at once.")] = False,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Go to the next step now, whatever the verdict; out of a bake, to its end."""
    _do(route, "promote", admin, token, {"full": full}, as_json=as_json)


def abort(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Take the canary back now: no request that comes later reaches it, until somebody says `retry` or `reset`."""
    _do(route, "abort", admin, token, as_json=as_json)


def retry(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Begin anew after a rollback."""
    _do(route, "retry", admin, token, as_json=as_json)


def reset(route: Route, *, admin: Admin = ADMIN, token: Token = None, as_json: Json = False) -> None:
    """Be done with a rollout that has ended: all traffic to stable, and nothing latched."""
    _do(route, "reset", admin, token, as_json=as_json)


def _do(
    route: str, verb: str, admin: str, token: str | None, body: dict[str, Any] | None = None, *, as_json: bool
) -> None:
    try:
        path, patience = f"/api/v1/routes/{segment(route)}/rollout/{verb}", GATED if verb in ASK_GATES else PATIENCE
        told = Remote(admin, token).call("POST", path, body or {}, patience=patience)
    except Refused as error:
        raise fail(error) from None
    typer.echo(json.dumps(told, indent=2) if as_json else sentence(told))


def sentence(told: dict[str, Any]) -> str:
    """Where it stands now."""
    text = f"{told['route']}: {told['phase']}"
    if told["reason"]:
        text += f" ({told['reason']})"
    text += f", {told['weight']:g} % to canary"
    if told["step"] is not None and told["phase"] in ("progressing", "paused"):
        text += f", step {told['step'] + 1} of {len(told['steps'])}"
    if told["next"] is not None:
        text += f", then {told['next']:g} %"
    if told["estimate"] is not None:
        text += f" in about {_time(told['estimate'])}"
    if told["why"]:
        text += f": {told['why']}"
    if not told["durable"]:
        text += "; it could not be kept on the disk"
    return text


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
