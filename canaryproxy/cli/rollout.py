"""`canaryproxy start`, `pause`, `resume`, `promote`, `abort`, `retry`, `reset`: control of a rollout."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say
from canaryproxy.cli.remote import (
    ADMIN,
    GATED_TIMEOUT_SECONDS,
    Admin,
    Json,
    Remote,
    RemoteError,
    Token,
    exit_on_error,
    segment,
    show,
)
from canaryproxy.cli.route import Route
from canaryproxy.cli.waiting import REFUSED, RolloutWaiter, Timeout, seconds
from canaryproxy.cli.waiting import wait as wait_for

Version = Annotated[str, typer.Option(help="Version of the canary, such as a tag or a commit.")]
StableVersion = Annotated[str, typer.Option(help="Version of stable.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit codes as for `status --wait`.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id of the rollout.")]
Only = Annotated[str | None, typer.Option("--rollout", help="Only if this is the id of the current rollout.")]


def _starting(verb: str, summary: str) -> Callable[..., None]:
    """The command of a verb that starts a rollout."""

    def command(
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
        remote, limit = Remote(admin, token), seconds(timeout) if wait else None
        body = {key: name for key, name in (("version", version), ("stable_version", stable_version)) if name}
        path = f"/api/v1/routes/{segment(route)}/rollout/{verb}"
        with exit_on_error(1 if limit is None else REFUSED):
            data = remote.call("POST", path, body, timeout=GATED_TIMEOUT_SECONDS)
        if limit is None or not as_json:
            if quiet:
                say(str(data["id"]))
            else:
                show(data, lambda data: [sentence(data)], as_json=as_json)
        if limit is not None:
            raise typer.Exit(wait_for(RolloutWaiter(remote, route, data["id"]), limit, as_json=as_json))

    command.__name__, command.__doc__ = verb, summary
    return command


def _changing(verb: str, summary: str) -> Callable[..., None]:
    """The command of a verb that changes a rollout."""

    def command(
        route: Route, *, rollout: Only = None, admin: Admin = ADMIN, token: Token = None, as_json: Json = False
    ) -> None:
        _do(route, verb, Remote(admin, token), _only(rollout), as_json=as_json)

    command.__name__, command.__doc__ = verb, summary
    return command


start = _starting(
    "start",
    """Start a rollout: raise the weight step by step, and roll back if the canary fails.

    After a rollback a new version can start; the version that was rolled back needs `retry`. While a rollout is under
    way, another version replaces it, and the same version continues it.
    """,
)
retry = _starting("retry", "Start again with the version that was rolled back.")
pause = _changing("pause", "Pause at the current step. A failing canary is still rolled back.")
resume = _changing("resume", "Resume a paused rollout.")
abort = _changing("abort", "Roll back now: no request reaches the canary until `retry`, `reset` or a new version.")
reset = _changing("reset", "Clear an ended rollout: all traffic to stable, phase idle.")


def promote(
    route: Route,
    *,
    full: Annotated[bool, typer.Option("--full", help="Go to 100 % at once.")] = False,
    rollout: Only = None,
    expect_step: Annotated[int | None, typer.Option(min=1, help="Only at this step, counted from 1.")] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Advance to the next step now, whatever the verdict; complete a bake."""
    body = {"full": full, **_only(rollout)}
    _do(route, "promote", Remote(admin, token), body, as_json=as_json, expected=expect_step)


def _only(rollout: str | None) -> dict[str, Any]:
    """The body for `--rollout`. An empty id is an unset shell variable, not "any rollout": it is refused."""
    if rollout == "":
        raise typer.BadParameter("the id is empty", param_hint="--rollout")
    return {} if rollout is None else {"rollout_id": rollout}


def _do(
    route: str, verb: str, remote: Remote, body: dict[str, Any], *, as_json: bool, expected: int | None = None
) -> None:
    path = f"/api/v1/routes/{segment(route)}/rollout"
    with exit_on_error():
        headers = None if expected is None else {"If-Match": _at(remote, path, expected)}
        data = remote.call("POST", f"{path}/{verb}", body, headers)
    unchanged = verb == "abort" and data["phase"] == "idle"
    more = ": the canary receives no traffic, nothing was changed" if unchanged else ""
    show(data, lambda data: [sentence(data) + more], as_json=as_json)


def _at(remote: Remote, path: str, expected: int) -> str:
    """The entity tag of a rollout at the `expected` step, from 1. Raises `RemoteError` at another step."""
    data, tag = remote.tagged(path)
    if data["step"] is None or data["step"] + 1 != expected:
        raise RemoteError(f"the rollout is not at step {expected}; {sentence(data)}")
    return tag


def sentence(data: dict[str, Any]) -> str:
    """The state of a rollout in a sentence."""
    text = f"{data['route']}: {data['phase']}"
    if data["reason"]:
        text += f" ({data['reason']})"
    text += f", {data['weight']:g} % to canary"
    if data["step"] is not None and data["phase"] in ("progressing", "paused"):
        text += f", step {data['step'] + 1} of {len(data['steps'])}"
    if data["next"] is not None:
        text += f", then {data['next']:g} %"
    if data["estimate"] is not None:
        seconds_left = data["estimate"]
        text += f" in about {seconds_left:.0f} s" if seconds_left < 120 else f" in about {seconds_left / 60:.0f} min"
    if data["why"]:
        text += f": {data['why']}"
    if data["id"]:
        text += f"; rollout {data['id']}" + (f" of {data['canary_version']}" if data["canary_version"] else "")
    return text if data["durable"] else f"{text}; the state could not be written to disk"
