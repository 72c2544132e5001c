"""Waiting for the end of given rollouts, with an exit code per result."""

import time
from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import Remote, RemoteError, segment

# Polling interval.
PERIOD_SECONDS = 1.0

SUCCEEDED = 0
ROLLED_BACK = 1
TIMED_OUT = 3
SUPERSEDED = 4
REFUSED = 5

CODES = {"succeeded": SUCCEEDED, "rolled_back": ROLLED_BACK, "superseded": SUPERSEDED}

UNDER_WAY = ("progressing", "paused", "baking")

# Error statuses that may pass: not reachable yet, not ready yet.
TRANSIENT = (None, 503)

Timeout = Annotated[str, typer.Option(help="With --wait: time limit, such as 90s or 10m.")]

# A rollout as the API shows it; of a route without rollout only its phase as `result`.
Outcome = dict[str, Any]


class RolloutWaiter:
    """Waits for a rollout by its id, or for all that are under way at the first poll."""

    def __init__(self, remote: Remote, route: str | None, rollout: str | None = None) -> None:
        self._remote = remote
        self._route = route
        self._wanted: dict[str, str] | None = None if rollout is None or route is None else {route: rollout}
        self._settled: list[Outcome] = []

    def poll(self) -> list[Outcome]:
        """The state of each rollout. Raises `RemoteError`."""
        self._remote.call("GET", "/readyz")
        if self._wanted is None:
            self._wanted = self._first()
        paths = [f"/api/v1/routes/{segment(route)}/rollouts/{segment(one)}" for route, one in self._wanted.items()]
        return [*self._settled, *(self._remote.gather(*paths) if paths else [])]

    def _first(self) -> dict[str, str]:
        """The rollouts under way, by route. Other routes are settled."""
        if self._route is None:
            routes = self._remote.call("GET", "/api/v1/routes")["routes"]
        else:
            routes = [self._remote.call("GET", f"/api/v1/routes/{segment(self._route)}")]
        going = {one["route"]: one["rollout_id"] for one in routes if one["phase"] in UNDER_WAY}
        names = {"result": "phase", "id": "rollout_id", "why": "reason"}
        keys = {"route": "route", **names, "canary_version": "canary_version"}
        self._settled = [{key: one[name] for key, name in keys.items()} for one in routes if one["route"] not in going]
        return going


def seconds(text: str) -> float:
    """Parse a duration. Raises `typer.BadParameter`."""
    from canaryproxy.config.problems import InvalidValueError
    from canaryproxy.config.types.quantity import duration

    try:
        return duration(0.1, 86_400)(text)
    except InvalidValueError as wrong:
        raise typer.BadParameter(wrong.hint, param_hint="--timeout") from None


def wait(waiter: RolloutWaiter, limit: float, *, as_json: bool = False) -> int:
    """Poll until all rollouts are over or `limit` seconds have passed. Returns the exit code."""
    deadline = time.monotonic() + limit
    said: list[str] = []
    while True:
        try:
            found = waiter.poll()
            now = [*map(sentence, found)]
            if all(one["result"] != "under_way" for one in found):
                if as_json:
                    say_json(found)
                else:
                    say(*now)
                return code(found)
        except RemoteError as error:
            if error.status not in TRANSIENT:
                say(str(error), err=True)
                return REFUSED
            now = [str(error)]
        if now != said:  # only changes are printed, so that a log of CI stays short
            say(*now, err=True)
            said = now
        if time.monotonic() >= deadline:
            say("timed out", err=True)
            return TIMED_OUT
        time.sleep(min(PERIOD_SECONDS, max(0.0, deadline - time.monotonic())))


def code(found: list[Outcome]) -> int:
    """The exit code: a rollback counts before a superseded rollout, that before success."""
    codes = {CODES.get(one["result"], SUCCEEDED) for one in found}
    return next((one for one in (ROLLED_BACK, SUPERSEDED) if one in codes), SUCCEEDED)


def sentence(one: Outcome) -> str:
    """The state of a rollout and its version in a sentence."""
    text = f"{one['route']} {one['result']}"
    if one["canary_version"] and one["result"] != "idle":
        text += f", version {one['canary_version']}"
    if one["id"]:
        text += f", rollout {one['id']}"
    return f"{text}: {one['why']}" if one["why"] and one["result"] != "succeeded" else text
