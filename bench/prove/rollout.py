"""Rollouts in real traffic: 300 requests a second through two workers, versions that answer in 25 ms, shield off."""

import contextlib
import http.client
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.base import base
from bench.prove import DisprovedError, pacing
from bench.prove.crash import all_gone
from bench.prove.judge import RATE, Judged, loaded, split_up, wait
from bench.prove.site import site

QUICK = "rollout: {steps: [1, 5, 25, 50, 100], every: 10s, bake: 20s}\n"
FROM_FIVE = "rollout: {steps: [5, 25, 50, 100], every: 10s, bake: 20s}\n"
PATH = "/api/v1/routes/default/rollout"


class Rolled(Judged):
    """A site whose canary is raised."""

    def rollout(self) -> dict[str, Any]:
        """Where it stands."""
        return self.call("GET", PATH)[1]

    def do(self, verb: str, **body: object) -> dict[str, Any]:
        """A verb. Raises `DisprovedError` where it is refused."""
        status, data = self.call("POST", f"{PATH}/{verb}", body)
        if status != 200:
            raise DisprovedError(f"{verb} was answered {status}: {data}")
        return data

    def until_phase(self, holds: Callable[[dict[str, Any]], bool], seconds: float) -> tuple[float, dict[str, Any]]:
        """Wait for a state; how long it took. Raises `DisprovedError`."""
        return wait(self.rollout, holds, seconds, lambda found: f"{found}; {self.analysis()['reason']}")


@contextlib.contextmanager
def rolled(
    stable: str = "errors=0.001",
    canary: str = "errors=0.001",
    extra: str = QUICK,
    *,
    state: str = "memory",
    rate: int = RATE,
) -> Iterator[Rolled]:
    """A site under load, before its rollout begins."""
    ways = {"stable": stable, "canary": canary}
    with loaded(Rolled, ways, lambda plain: plain + extra, state=state, rate=rate) as made:
        yield made


def is_back(found: dict[str, Any]) -> bool:
    """Whether the canary was taken back."""
    return bool(found["phase"] == "rolled_back")


def exposed(made: Rolled) -> dict[str, Any]:
    """What the canary was trusted with."""
    data: dict[str, Any] = made.call("GET", f"{PATH}/report")[1]["exposed"]
    return data


def good() -> str:
    """Two equal versions."""
    with rolled() as made:
        made.do("start")
        begin, seen, expected = time.monotonic(), [], 0.0
        step = -1
        while True:
            now = made.rollout()
            if now["phase"] in ("rolled_back", "paused"):
                raise DisprovedError(f"{now['phase']}: {now['why']}")
            if now["step"] != step:
                step = now["step"]
                seen.append(f"{now['weight']:g} % at {time.monotonic() - begin:.0f} s")
                expected += now["estimate"] or 0.0
            if now["phase"] == "succeeded":
                break
            if time.monotonic() - begin > 400:
                raise DisprovedError(f"it takes too long: {seen}, {now}, {made.analysis()['reason']}")
            time.sleep(0.1)
    took = time.monotonic() - begin
    return (
        f"{took:.0f} s ({', '.join(seen)}); the estimates made when the steps began add up to {expected:.0f} s, "
        "and there are 20 s of bake"
    )


def _dead(extra: str) -> tuple[float, int, str]:
    """Seconds from the first request to weight 0, requests that the canary failed, and why."""
    with rolled(canary="errors=1", extra=extra) as made:
        before = made.metrics()
        made.first("canary")
        made.do("start")
        _, found = made.until_phase(is_back, 20)
        took = found["since"] - made.first("canary")
        time.sleep(1)
        name = 'canaryproxy_attempts_total{outcome="error_5xx",route="default",version="canary"}'
        failed = round(made.metrics()[name] - before[name])
    return took, failed, found["why"]


def dead(times: int = 3) -> str:
    """A canary that fails everything, several times."""
    found = [_dead(FROM_FIVE) for _ in range(times)]
    said = f"{', '.join(f'{took:.2f} s and {failed} failed' for took, failed, _ in found)}; {found[0][2]}"
    if any(took > 2 or failed > 30 for took, failed, _ in found):
        raise DisprovedError(said)
    return said


def users() -> str:
    """The same with affinity: every request is a newcomer's."""
    found = [_dead(f"affinity: cookie\n{FROM_FIVE}") for _ in range(3)]
    said = f"{', '.join(f'{took:.2f} s and {failed} failed' for took, failed, _ in found)}; {found[0][2]}"
    if any(took > 2 or failed > 30 for took, failed, _ in found) or "users" not in found[0][2] + "limit":
        raise DisprovedError(said)
    return said


def _caught(canary: str, seconds: float) -> str:
    with rolled(canary=canary, extra=FROM_FIVE.replace("every: 10s", "every: 60s")) as made:
        made.do("start")
        took, found = made.until_phase(is_back, seconds)
    return f"after {took:.1f} s: {found['why']}"


def errors() -> str:
    """0.1 to 3 %."""
    return _caught("errors=0.03", 120)


def slow() -> str:
    """All half as slow again."""
    return _caught("errors=0.001 times=1.5", 200)


def sells_half() -> str:
    """A canary in which half as much is put into the cart."""
    extra = "goals: [{name: cart, header: x-cart}]\nrollout: {steps: [25, 50, 100], every: 20s, bake: 20s}\n"
    with rolled("errors=0.001 carts=0.12", "errors=0.001 carts=0.06", extra) as made:
        made.do("start")
        took, found = made.until(lambda one: one["reason"].startswith("cart:"), 180)
        time.sleep(30)
        now = made.rollout()
    said = f"after {took:.0f} s: {found['reason']}; 30 s later it is {now['phase']} at {now['weight']:g} %"
    if now["phase"] != "progressing" or now["weight"] == 100:
        raise DisprovedError(said)
    return said


def together() -> str:
    """Both get worse, and well again: errors, slowness, an outage."""
    with rolled(extra=FROM_FIVE.replace("every: 10s", "every: 60s")) as made:
        made.do("start")
        time.sleep(30)
        for ways in (
            {"errors": 0.05, "times": 1.5},
            {"errors": 0.001, "times": 1.0},
            {"errors": 0.6},
            {"errors": 0.001},
        ):
            for version in ("stable", "canary"):
                made.behave(version, **ways)
            for _ in range(30):
                now = made.rollout()
                if now["phase"] != "progressing":
                    raise DisprovedError(f"{now['phase']}: {now['why']}")
                time.sleep(1)
    where = f"{now['phase']} at {now['weight']:g} %"
    return f"30 s of 5 % errors and half as slow again, 30 s of 60 %: {where}, nothing rolled back"


TWENTY = 20


def twenty() -> str:
    """Twenty routes with 2 % errors in both versions, 110 requests a second each, until all are through with 50 %."""
    ways = {"stable": "errors=0.02 seed=1", "canary": "errors=0.02 seed=2"}
    more = "rollout: {every: 20s, bake: 10s}"
    with loaded(Rolled, ways, lambda plain: split_up(plain, TWENTY, more), rate=110 * TWENTY, routes=TWENTY) as made:
        for number in range(TWENTY):
            made.call("POST", f"/api/v1/routes/r{number}/rollout/start", {})
        condemned, minutes, begin = set[int](), 0, time.monotonic()
        while time.monotonic() - begin < 900:
            time.sleep(60)
            minutes += 1
            condemned |= {number for number in range(TWENTY) if _condemned(made, number)}
            phases = [made.call("GET", f"/api/v1/routes/r{number}")[1]["phase"] for number in range(TWENTY)]
            if all(phase in ("baking", "succeeded", "rolled_back") for phase in phases):
                break
        reasons = [made.call("GET", f"/api/v1/routes/r{number}/rollout")[1]["why"] for number in range(TWENTY)]
    back = [why for phase, why in zip(phases, reasons, strict=True) if phase == "rolled_back"]
    under_way = sum(phase in ("progressing", "paused") for phase in phases)
    said = (
        f"seeds 1 and 2, {minutes} min: {len(back)} rolled back, {sum(p in ('baking', 'succeeded') for p in phases)} "
        f"past 50 %, {under_way} still under way; a rule of 99 % in a minute would have condemned {len(condemned)}"
    )
    if len(back) + under_way > 1 or not condemned:
        raise DisprovedError(f"{said}: {back}")
    return said


def _condemned(made: Rolled, number: int) -> bool:
    """Whether more than 1 % of the last minute's canary requests failed."""
    data = made.call("GET", f"/api/v1/routes/r{number}/stats?window=60s")[1]["versions"]["canary"]
    return (data["error_rate"] or 0.0) > 0.01


BAKES = "rollout: {steps: [50, 100], every: 10s, bake: 200s}\n"


def overload() -> str:
    """A canary that can carry half of the load, and no more."""
    with rolled(canary="errors=0.001 limit=220", extra=BAKES) as made:
        made.do("start")
        made.until_phase(lambda one: one["phase"] == "baking", 120)
        begin = time.time()
        _, first = made.until_phase(lambda one: one["reason"] == "control", 30)
        half = first["since"] - begin
        made.until_phase(lambda one: one["weight"] == 100, 120)
        took, second = made.until_phase(lambda one: one["phase"] == "paused", 30)
    said = (
        f"at 100 % half of it was back on stable after {half:.1f} s ({first['why']}); calm for a minute it got "
        f"100 % again, {took:.1f} s later: {second['phase']} at {second['weight']:g} %, {second['why']}"
    )
    if half > 2.5 or second["weight"] != 50 or second["reason"] != "inconclusive":
        raise DisprovedError(said)
    return said


def outage() -> str:
    """Both versions fail while the canary bakes."""
    with rolled(extra=BAKES.replace("200s", "30s")) as made:
        made.do("start")
        made.until_phase(lambda one: one["phase"] == "baking", 120)
        time.sleep(5)
        for version in ("stable", "canary"):
            made.behave(version, errors=0.6)
        took, _ = made.until_phase(lambda one: one["reason"] == "control", 30)
        time.sleep(20)
        for version in ("stable", "canary"):
            made.behave(version, errors=0.001)
        back, _ = made.until_phase(lambda one: one["weight"] == 100, 150)
        _, found = made.until_phase(lambda one: one["phase"] != "baking", 120)
    said = (
        f"both fail 60 %: at 50 % after {took:.1f} s, at 100 % again {back:.0f} s after they were well, "
        f"then {found['phase']}"
    )
    if found["phase"] != "succeeded":
        raise DisprovedError(f"{said}: {found['why']}")
    return said


PHASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "progressing": [("start", {})],
    "paused": [("start", {}), ("pause", {})],
    "baking": [("start", {}), ("promote", {"full": True})],
    "succeeded": [("start", {}), ("promote", {"full": True}), ("promote", {})],
    "rolled_back": [("start", {}), ("abort", {})],
}
RULES = """affinity: cookie
rules: [{name: half, path: {prefix: /}, percent: 50, to: canary}]
rollout: {steps: [25, 50, 100], every: 10m, bake: 10m}
analysis: off
"""


def aborted() -> str:
    """Abort in every phase, with a rule that sends half to the canary, under load; by the origins' logs."""
    took, requests = [], 0
    with site(2, logged=True) as made:
        made.config.write_text(made.config.read_text() + RULES)
        made.proxy.send_signal(signal.SIGHUP)
        time.sleep(1.5)
        load = pacing.start(made.port, 1000)
        time.sleep(1)
        spans = []
        for number in range(4):
            for phase, verbs in PHASES.items():
                for verb, body in verbs:
                    _call(made, verb, body)
                time.sleep(0.2)
                clock = time.perf_counter()
                _call(made, "abort", {})
                took.append(time.perf_counter() - clock)
                answered = time.time_ns()
                time.sleep(0.4)
                spans.append((answered, time.time_ns(), f"{phase} {number}"))
                _call(made, "reset", {})
        failed = pacing.end(load)
        time.sleep(0.5)
        stamps = {
            name: [int(line.rpartition("/")[2]) for line in made.logs[name].read_text().splitlines() if "/at/" in line]
            for name in ("stable", "canary")
        }
    strays = [words for begin, until, words in spans for stamp in stamps["canary"] if begin < stamp < until]
    requests = sum(begin < stamp < until for begin, until, _ in spans for stamp in stamps["stable"])
    said = (
        f"{len(spans)} aborts in {len(PHASES)} phases at 1,000 requests/s, 2 workers, half of them by a rule: of "
        f"{requests:,} requests made after the answers {len(strays)} reached the canary, {len(failed)} failed; "
        f"{1000 * max(took):.0f} ms at most"
    )
    if strays or failed or not requests or not stamps["canary"]:
        raise DisprovedError(f"{said}; {strays[:3]}")
    return said


def _call(made: Any, verb: str, body: dict[str, Any]) -> None:
    status, data = made.call("POST", f"{PATH}/{verb}", body)
    if status != 200:
        raise DisprovedError(f"{verb} was answered {status}: {data}")


def killed(times: int = 50) -> str:
    """Kill -9 of everything at random moments of running rollouts."""
    rng = random.Random(50)
    seen: dict[str, int] = {}
    extra = "rollout: {steps: [5, 25, 50, 100], every: 2s, bake: 3s}\nanalysis: {min_requests: 30}\n"
    with rolled(extra=extra, state="{folder}/state.db", rate=200) as made:
        made.do("start")
        for number in range(times):
            time.sleep(rng.uniform(0.2, 2.5))
            deed = rng.choice(("", "", "abort", "pause", "promote"))
            if deed == "abort" or (deed and made.rollout()["phase"] == "progressing"):
                made.do(deed, full=deed == "promote")
                time.sleep(rng.uniform(0, 1))
            before = made.rollout()
            os.kill(made.proxy.pid, signal.SIGKILL)
            made.proxy.wait()
            all_gone(made)
            with contextlib.suppress(OSError, http.client.HTTPException):
                made.call("GET", "/healthz")
            began = time.monotonic()
            made.start()
            after = made.rollout()
            seen[before["phase"]] = seen.get(before["phase"], 0) + 1
            _judge(number, before, after, time.monotonic() - began, abort=deed == "abort")
            if after["phase"] == "rolled_back":
                made.do("retry")
            elif after["phase"] == "paused":
                made.do("resume")
            elif after["phase"] == "succeeded":
                made.do("reset")
                made.do("start")
    return f"{times} times, in phases {', '.join(f'{phase} {count}' for phase, count in sorted(seen.items()))}: none"


class Upgraded(Rolled):
    """A site that starts with the base, 64e2905, in an empty folder, and goes on with this checkout."""

    def __init__(self, folder: Path, workers: int, state: str) -> None:
        super().__init__(folder, workers, state)
        self._newer = self.command
        self.command = [str(base()[0]), "-P", *self._newer[1:]]
        self.where = folder / "empty"
        self.where.mkdir()

    def upgrade(self) -> None:
        """Kill the base and start this checkout on its state."""
        os.kill(self.proxy.pid, signal.SIGKILL)
        self.proxy.wait()
        all_gone(self)
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.call("GET", "/healthz")
        self.command, self.where = self._newer, None
        self.start()


def upgraded() -> str:
    """Kill -9 of the base in the middle of a rollout; this checkout goes on with it."""
    extra = "rollout: {steps: [20, 50, 100], every: 12s, bake: 5s}\nanalysis: {min_requests: 100}\n"
    with loaded(
        Upgraded, dict.fromkeys(("stable", "canary"), "errors=0.001"), lambda plain: plain + extra,
        state="{folder}/state.db",
    ) as made:  # fmt: skip
        version = made.call("GET", "/openapi.json")[1]["info"]["version"]
        made.do("start")
        made.until_phase(lambda found: found["step"] == 1, 60)
        time.sleep(6)
        before, judged = made.rollout(), made.analysis()
        made.upgrade()
        after, kept = made.rollout(), made.analysis()
        held = [(one["phase"], one["step"], one["weight"], one["began"]) for one in (before, after)]
        samples = [_judged(one) for one in (judged, kept)]
        took, _ = made.until_phase(lambda found: found["phase"] == "succeeded", 120)
    said = (
        f"killed in {held[0][0]}, step {held[0][1] + 1} at {held[0][2]:g} %; after the start {held[1][0]}, step "
        f"{held[1][1] + 1} at {held[1][2]:g} %; {samples[1]:,} of {samples[0]:,} judged requests are known again; it "
        f"succeeded after {took:.0f} s more (base {version})"
    )
    if held[0] != held[1] or samples[1] < 0.5 * samples[0]:
        raise DisprovedError(said)
    return said


def _judged(analysis: dict[str, Any]) -> int:
    """Requests of the canary that its checks have judged."""
    return max(int(check["samples"]["canary"]) for check in analysis["checks"])


def _judge(number: int, before: dict[str, Any], after: dict[str, Any], down: float, *, abort: bool) -> None:
    """What must not have become of it. One step may have been taken between the look and the kill."""
    legal = {
        "progressing": {"progressing", "baking"},
        "baking": {"baking", "succeeded"},
        "succeeded": {"succeeded"},
        "rolled_back": {"rolled_back"},
        "idle": {"idle"},
        "paused": {"paused"},
    }
    order = before["steps"]
    fits = after["phase"] in legal[before["phase"]] and after["steps"] == order
    if abort:
        fits = fits and after["phase"] == "rolled_back" and after["weight"] == 0
    if after["phase"] in ("progressing", "baking"):
        step = after["step"] - before["step"]
        fits = fits and step in (0, 1) and after["weight"] in (order[after["step"]], 50.0)
        fits = fits and (step == 0 or after["since"] <= time.time() - down)
    if not fits:
        raise DisprovedError(f"round {number}: {before} became {after}")
