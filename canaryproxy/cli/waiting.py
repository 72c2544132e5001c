"""Waiting for the end of rollouts, with an exit code for each: the rollout that was asked for, and no other."""

import time
from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import Remote, RemoteError
from canaryproxy.cli.weight import segment

PERIOD_SECONDS = 1.0
"""Seconds between two looks."""

SUCCEEDED = 0
ROLLED_BACK = 1
TIMED_OUT = 3
SUPERSEDED = 4
REFUSED = 5

CODES = {"succeeded": SUCCEEDED, "rolled_back": ROLLED_BACK, "superseded": SUPERSEDED}

UNDER_WAY = ("progressing", "paused", "baking")

PASSING = (None, 503)
"""Refusals that waiting may end: not there yet, not ready yet."""

Timeout = Annotated[str, typer.Option(help="Longest time to --wait, such as 90s or 10m.")]

Outcome = dict[str, Any]
"""Route, result, and what is known of the rollout, if there is one."""


class RolloutWaiter:
    """Waits for one rollout by its id, or for all that are under way at the first look."""

    def __init__(self, remote: Remote, route: str | None, rollout: str | None = None) -> None:
        self._remote = remote
        self._route = route
        self._wanted: dict[str, str] | None = None if rollout is None or route is None else {route: rollout}
        self._settled: list[Outcome] = []

    def poll(self) -> list[Outcome]:
        """How each stands. Raises `RemoteError`."""
        self._remote.call("GET", "/readyz")
        if self._wanted is None:
            self._wanted = self._first()
        paths = [f"/api/v1/routes/{segment(route)}/rollouts/{segment(one)}" for route, one in self._wanted.items()]
        return [*self._settled, *(self._remote.gather(*paths) if paths else [])]

    def _first(self) -> dict[str, str]:
        """Remember what there is to wait for; a route without a rollout under way is as it is."""
        if self._route is None:
            routes = self._remote.call("GET", "/api/v1/routes")["routes"]
        else:
            routes = [self._remote.call("GET", f"/api/v1/routes/{segment(self._route)}")]
        going = {one["route"]: one["rollout_id"] for one in routes if one["phase"] in UNDER_WAY}
        self._settled = [
            {
                "route": one["route"],
                "result": one["phase"],
                "id": one["rollout_id"],
                "canary_version": one["canary_version"],
                "why": one["reason"],
            }
            for one in routes
            if one["route"] not in going
        ]
        return going


def seconds(text: str) -> float:
    """A duration as written. Raises `typer.BadParameter`."""
    from canaryproxy.config.problems import InvalidValueError
    from canaryproxy.config.types.quantity import duration

    try:
        return duration(0.1, 86_400)(text)
    except InvalidValueError as wrong:
        raise typer.BadParameter(wrong.hint, param_hint="--timeout") from None


def wait(waiting: RolloutWaiter, patience: float, *, as_json: bool = False) -> int:
    """Look until it is over; the exit code."""
    deadline = time.monotonic() + patience
    said: list[str] = []
    while True:
        try:
            found = waiting.poll()
            now = [*map(sentence, found)]
            if all(one["result"] != "under_way" for one in found):
                if as_json:
                    say_json(found)
                else:
                    say(*now)
                return code(found)
        except RemoteError as error:
            if error.status not in PASSING:
                say(str(error), err=True)
                return REFUSED
            now = [str(error)]
        if now != said:
            say(*now, err=True)
            said = now
        if time.monotonic() >= deadline:
            say("the time is over", err=True)
            return TIMED_OUT
        time.sleep(min(PERIOD_SECONDS, max(0.0, deadline - time.monotonic())))


def code(found: list[Outcome]) -> int:
    """Of several routes the worst counts: a rollback before one that was superseded."""
    codes = {CODES.get(one["result"], SUCCEEDED) for one in found}
    return next((one for one in (ROLLED_BACK, SUPERSEDED) if one in codes), SUCCEEDED)


def sentence(one: Outcome) -> str:
    """How a rollout stands, and of which version it is."""
    words = f"{one['route']} {one['result']}"
    if one["canary_version"] and one["result"] != "idle":
        words += f", version {one['canary_version']}"
    if one["id"]:
        words += f", rollout {one['id']}"
    return f"{words}: {one['why']}" if one["why"] and one["result"] != "succeeded" else words
