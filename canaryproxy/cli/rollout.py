"""`canaryproxy start`, `pause`, `resume`, `promote`, `abort`, `retry`, `reset`: the verbs of a rollout."""

from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, GATED, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.waiting import REFUSED, RolloutWaiter, Timeout, seconds
from canaryproxy.cli.waiting import wait as wait_for
from canaryproxy.cli.weight import segment

Version = Annotated[str, typer.Option(help="What the canary's version is called, such as a tag or a commit.")]
StableVersion = Annotated[str, typer.Option(help="What stable's version is called.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end; exit codes as of `status --wait`.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the id of the rollout alone.")]
Only = Annotated[str | None, typer.Option("--rollout", help="Id: only if this is the rollout that there is.")]
Route = Annotated[str, typer.Argument(help="Name of the route.")]


def start(
    route: Route,
    *,
    version: Version = "",
    stable_version: StableVersion = "",
    wait: Wait = False,
    timeout: Timeout = "10m",
    quiet: Quiet = False,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Begin a rollout: raise the canary step by step, and take it back if it fails.

    After a rollback the next version starts; the version that was taken back needs `retry`. While a rollout is under
    way, another version takes its place, and the same version is the rollout that goes on.
    """
    patience = seconds(timeout) if wait else None
    _begin(
        route, "start", Remote(admin, token), _names(version, stable_version), patience, quiet=quiet, as_json=as_json
    )


def pause(
    route: Route, *, rollout: Only = None, admin: Admin = ADMIN, token: Token = None, as_json: Json = False
) -> None:
    """Stay at this step. A canary that fails is taken back all the same."""
    _do(route, "pause", admin, token, _only(rollout), as_json=as_json)


def resume(
    route: Route, *, rollout: Only = None, admin: Admin = ADMIN, token: Token = None, as_json: Json = False
) -> None:
    """Go on after a pause."""
    _do(route, "resume", admin, token, _only(rollout), as_json=as_json)


def promote(
    route: Route,
    *,
    full: Annotated[bool, typer.Option("--full", help="To 100 % at once.")] = False,
    rollout: Only = None,
    expect_step: Annotated[
        int | None,
        typer.Option(
            min=1, help="Only from this step, counted from 1 as `status` does: run again, it moves nothing twice."
        ),
    ] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Go to the next step now, whatever the verdict; out of a bake, to its end."""
    _do(route, "promote", admin, token, {"full": full, **_only(rollout)}, as_json=as_json, expected=expect_step)


def abort(
    route: Route, *, rollout: Only = None, admin: Admin = ADMIN, token: Token = None, as_json: Json = False
) -> None:
    """Take the canary back now: no request that comes later reaches it, until `retry`, `reset`, or the next version."""
    _do(route, "abort", admin, token, _only(rollout), as_json=as_json)


def retry(
    route: Route,
    *,
    version: Version = "",
    stable_version: StableVersion = "",
    wait: Wait = False,
    timeout: Timeout = "10m",
    quiet: Quiet = False,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Try a version again that was rolled back."""
    patience = seconds(timeout) if wait else None
    _begin(
        route, "retry", Remote(admin, token), _names(version, stable_version), patience, quiet=quiet, as_json=as_json
    )


def reset(
    route: Route, *, rollout: Only = None, admin: Admin = ADMIN, token: Token = None, as_json: Json = False
) -> None:
    """Be done with a rollout that has ended: all traffic to stable, and nothing latched."""
    _do(route, "reset", admin, token, _only(rollout), as_json=as_json)


def _only(rollout: str | None) -> dict[str, Any]:
    """An empty id is a variable that a script has not set: it means no rollout at all, and surely not whichever."""
    if rollout == "":
        raise typer.BadParameter("the id is empty", param_hint="--rollout")
    return {} if rollout is None else {"rollout_id": rollout}


def _names(version: str, stable: str) -> dict[str, Any]:
    return {key: name for key, name in (("version", version), ("stable_version", stable)) if name}


def _begin(
    route: str, verb: str, remote: Remote, body: dict[str, Any], patience: float | None, *, quiet: bool, as_json: bool
) -> None:
    """Ask for it, and wait for the end of the rollout that it has begun, if `patience` is given."""
    try:
        data = remote.call("POST", f"/api/v1/routes/{segment(route)}/rollout/{verb}", body, patience=GATED)
    except RemoteError as error:
        raise fail(error, REFUSED if patience is not None else 1) from None
    if patience is None or not as_json:
        if as_json and not quiet:
            say_json(data)
        else:
            say(str(data["id"]) if quiet else sentence(data))
    if patience is not None:
        raise typer.Exit(wait_for(RolloutWaiter(remote, route, data["id"]), patience, as_json=as_json))


def _do(
    route: str,
    verb: str,
    admin: str,
    token: str | None,
    body: dict[str, Any] | None = None,
    *,
    as_json: bool,
    expected: int | None = None,
) -> None:
    try:
        remote, path = Remote(admin, token), f"/api/v1/routes/{segment(route)}/rollout"
        headers = None if expected is None else {"If-Match": _at(remote, path, expected)}
        data = remote.call("POST", f"{path}/{verb}", body or {}, headers)
    except RemoteError as error:
        raise fail(error) from None
    nothing = ": nothing reaches the canary, nothing was changed" if verb == "abort" and data["phase"] == "idle" else ""
    if as_json:
        say_json(data)
    else:
        say(sentence(data) + nothing)


def _at(remote: Remote, path: str, expected: int) -> str:
    """The tag of a rollout that is at a step, counted from 1. Raises `RemoteError` where it is at another."""
    data, tag = remote.tagged(path)
    if data["step"] is None or data["step"] + 1 != expected:
        raise RemoteError(f"it is not at step {expected}; {sentence(data)}")
    return tag


def sentence(data: dict[str, Any]) -> str:
    """Where it stands now."""
    text = f"{data['route']}: {data['phase']}"
    if data["reason"]:
        text += f" ({data['reason']})"
    text += f", {data['weight']:g} % to canary"
    if data["step"] is not None and data["phase"] in ("progressing", "paused"):
        text += f", step {data['step'] + 1} of {len(data['steps'])}"
    if data["next"] is not None:
        text += f", then {data['next']:g} %"
    if data["estimate"] is not None:
        text += f" in about {_time(data['estimate'])}"
    if data["why"]:
        text += f": {data['why']}"
    if data["id"]:
        text += f"; rollout {data['id']}"
    if data["id"] and data["canary_version"]:
        text += f" of {data['canary_version']}"
    if not data["durable"]:
        text += "; it could not be kept on the disk"
    return text


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
