"""What the judge finds in real traffic: 300 requests a second through two workers, versions that answer in 25 ms."""

import contextlib
import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bench.processes import end, running
from bench.prove import DisprovedError, pacing
from bench.prove.site import Site, site

RATE = 300
"""Requests a second."""

CANARY = 5.0
BLOCK = 10
"""Seconds in which CPU is measured."""

ANALYSIS = f"""goals: [{{name: cart, header: x-cart}}]
analysis:
  resources: [{{name: cpu, counter: process_cpu_seconds_total, block: {BLOCK}s}}]
"""


class Judged(Site):
    """A site whose versions behave as configured."""

    def behave(self, version: str, **ways: float) -> None:
        """From now on."""
        for name, value in ways.items():
            self._ask(version, "PUT", f"/behave/{name}/{value}")

    def first(self, version: str) -> float:
        """When the first request came since this was last asked; 0 if none has."""
        return float(self._ask(version, "GET", "/first"))

    def _ask(self, version: str, method: str, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.origins[version], timeout=10)
        connection.request(method, path)
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def analysis(self) -> dict[str, Any]:
        """What the judge says now."""
        return self.call("GET", "/api/v1/routes/default/analysis")[1]

    def report(self) -> dict[str, dict[str, Any]]:
        """What can be compared, by name."""
        data = self.call("GET", "/api/v1/routes/default/rollout/report")[1]
        return {one["name"]: one for one in data["comparison"]}

    def until(self, holds: Callable[[dict[str, Any]], bool], seconds: float) -> tuple[float, dict[str, Any]]:
        """Wait for an analysis; how long it took. Raises `DisprovedError` where it does not come."""
        return wait(self.analysis, holds, seconds, lambda found: f"{found['verdict']}, {found['reason']}")


def wait(
    look: Callable[[], dict[str, Any]],
    holds: Callable[[dict[str, Any]], bool],
    seconds: float,
    words: Callable[[dict[str, Any]], str],
) -> tuple[float, dict[str, Any]]:
    """Look until it holds; how long it took, and what was seen. Raises `DisprovedError` with the last look in words."""
    begin = time.monotonic()
    while not holds(found := look()):
        if time.monotonic() - begin > seconds:
            raise DisprovedError(f"not within {seconds:.0f} s; the last word: {words(found)}")
        time.sleep(0.02)
    return time.monotonic() - begin, found


AnySite = TypeVar("AnySite", bound=Judged)


@contextlib.contextmanager
def loaded(
    kind: type[AnySite],
    ways: Mapping[str, str],
    config: Callable[[str], str],
    *,
    state: str = "memory",
    rate: int = RATE,
    routes: int = 0,
) -> Iterator[AnySite]:
    """A site for some seconds under load. `ways` tells how each version behaves, `config` makes the site's of the plain
    one, `routes` is how many hosts the load is for.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="judged-")))
        made = kind(folder, 2, state.format(folder=folder))
        made.config.write_text(config(made.config.read_text()))
        for name, port in made.origins.items():
            command = [sys.executable, "-m", "bench.prove.behaviour", str(port), *ways[name].split()]
            stack.enter_context(running(command, port=port))
        made.start()
        stack.callback(lambda: end(made.proxy))
        load = pacing.start(made.port, rate, routes)
        stack.callback(pacing.end, load)
        time.sleep(5)
        yield made


def split_up(config: str, count: int, more: str) -> str:
    """The plain config as so many routes alike, each with a host of its own and something `more`."""
    head, stable, canary = config.splitlines()
    routes = "".join(
        f"  r{number}: {{hosts: [r{number}.test], {stable}, {canary}, {more}}}\n" for number in range(count)
    )
    return f"{head}\nroutes:\n{routes}"


@contextlib.contextmanager
def judged(stable: str = "errors=0.001", canary: str = "errors=0.001", extra: str = ANALYSIS) -> Iterator[Judged]:
    """A site under load, without a canary for the first seconds."""
    with loaded(Judged, {"stable": stable, "canary": canary}, lambda plain: plain + extra) as made:
        yield made


def fails(found: dict[str, Any]) -> bool:
    """Whether the canary is to be taken back."""
    return bool(found["verdict"] == "fail")


def dead(times: int = 5) -> str:
    """A canary that fails everything, several times."""
    took, counts = [], []
    with judged(canary="errors=1") as made:
        for _ in range(times):
            made.first("canary")
            made.weigh(CANARY)
            _, found = made.until(fails, 10)
            took.append(time.time() - made.first("canary"))
            counts.append(found["checks"][0]["samples"]["canary"])
            made.weigh(0)
            time.sleep(3)
    said = (
        f"{times} times: {min(took):.2f} to {max(took):.2f} s after its first request, "
        f"{min(counts)} to {max(counts)} requests"
    )
    if max(took) > 1.5:
        raise DisprovedError(said)
    return f"{said}; {found['reason']}"


def found_in_time(canary: str, seconds: float) -> str:
    """A canary with a defect: when it is found, and what it has cost by then."""
    with judged(canary=canary) as made:
        made.weigh(CANARY)
        took, found = made.until(fails, seconds)
        exposed = made.call("GET", "/api/v1/routes/default/rollout/report")[1]["exposed"]
    return f"{took:.1f} s after the weight was set, {exposed['requests']:,} canary requests: {found['reason']}"


def errors() -> str:
    """0.1 to 3 %."""
    return found_in_time("errors=0.03", 120)


def slow() -> str:
    """All answers half as slow again, and so p95."""
    return f"{found_in_time('errors=0.001 times=1.5', 180)} (30 s of it are the warm-up)"


def together() -> str:
    """Both versions get worse at the same time, and well again."""
    seen: list[tuple[str, str]] = []
    with judged() as made:
        made.weigh(CANARY)
        time.sleep(40)
        for ways in (
            {"errors": 0.3, "times": 1.5},
            {"errors": 0.001, "times": 1.0},
            {"errors": 0.6},
            {"errors": 0.001},
        ):
            for version in ("stable", "canary"):
                made.behave(version, **ways)
            for _ in range(60):
                found = made.analysis()
                seen.append((found["verdict"], found["reason"]))
                time.sleep(0.5)
    if any(verdict == "fail" for verdict, _ in seen):
        raise DisprovedError(next(reason for verdict, reason in seen if verdict == "fail"))
    unstable = sum("unstable" in reason for _, reason in seen)
    return (
        "30 s of 30 % errors and half as slow again, later 30 s of 60 %: no verdict, "
        f"{unstable} of {len(seen)} looks said the environment is unstable"
    )


def better() -> str:
    """A canary with something to show for itself, at half of the traffic."""
    ways = "errors=0.001 carts=0.05 cpu=0.0025", "errors=0.001 times=0.7 carts=0.09 cpu=0.002"
    wanted = {"latency", "goal:cart", "resource:cpu"}
    with judged(*ways) as made:
        made.weigh(50)
        begin = time.monotonic()
        while True:
            report = made.report()
            shown = {name for name, one in report.items() if one["comparison"] == "better"}
            if wanted <= shown:
                break
            if time.monotonic() - begin > 420:
                raise DisprovedError(f"better: {shown}; " + "; ".join(one["sentence"] for one in report.values()))
            time.sleep(1)
        worse = [name for name, one in report.items() if one["comparison"] == "worse"]
    if worse:
        raise DisprovedError(f"said to be worse: {worse}")
    said = "; ".join(f"{name}: {_interval(report[name])}" for name in sorted(wanted))
    return f"{time.monotonic() - begin:.0f} s at weight 50 (blocks of {BLOCK} s for CPU): {said}"


def _interval(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{one['ratio']:.2f} times stable's ({low:.2f} to {high if high is None else round(high, 2)})"


def equal() -> str:
    """Two versions that are the same."""
    with judged() as made:
        made.weigh(CANARY)
        time.sleep(150)
        found, report = made.analysis(), made.report()
    others = {name: one["comparison"] for name, one in report.items() if one["comparison"] != "no difference shown"}
    if others or fails(found):
        raise DisprovedError(f"{found['verdict']}: {found['reason']}; {others}")
    return f"150 s at weight 5: {found['verdict']}, no difference shown in {', '.join(report)}"


def instant() -> str:
    """Two equal versions that answer in less than a millisecond, for ten minutes."""
    seen: dict[str, int] = {}
    with site(2) as made:
        load = pacing.start(made.port, RATE)
        try:
            made.weigh(CANARY)
            begin = time.monotonic()
            while time.monotonic() - begin < 600:
                _, report = made.call("GET", "/api/v1/routes/default/rollout/report")
                for one in report["comparison"]:
                    key = f"{one['name']} {one['comparison']}"
                    seen[key] = seen.get(key, 0) + 1
                if report["verdict"] == "fail" or any("no difference" not in key for key in seen):
                    raise DisprovedError(f"{report['verdict']}: {report['reason']}; {seen}")
                time.sleep(1)
            _, stats = made.call("GET", "/api/v1/routes/default/stats?window=300s")
        finally:
            pacing.end(load)
    p50 = {name: 1e6 * one["p50"] for name, one in stats["versions"].items()}
    return (
        f"10 min, p50 {p50['stable']:.0f} µs of stable, {p50['canary']:.0f} µs of the canary: {', '.join(seen)}; "
        f"verdict {report['verdict']}"
    )


def hungry() -> str:
    """Half as much CPU again, known by the versions' own metrics alone."""
    with judged("errors=0.001 cpu=0.002", "errors=0.001 cpu=0.003") as made:
        made.weigh(CANARY)
        _, found = made.until(lambda one: "can be compared while" in _cpu(one)["sentence"], 60)
        unequal = _cpu(found)["sentence"]
        if _cpu(found)["verdict"] != "inconclusive":
            raise DisprovedError(unequal)
        made.weigh(50)
        took, found = made.until(lambda one: _cpu(one)["comparison"] == "worse", 300)
    return f"at weight 50 after {took:.0f} s, blocks of {BLOCK} s: {_cpu(found)['sentence']}. At weight 5: {unequal}"


def _cpu(found: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in found["checks"] if one["name"] == "resource:cpu")


ROUTES = 100
MANY_RATE = 1000


def many() -> str:
    """What the judgement of a hundred routes costs: the supervisor's CPU with and without it, in turns."""
    costs: dict[str, list[float]] = {"on": [], "off": []}
    for turn in range(6):
        kind = ("on", "off")[(turn + turn // 2) % 2]
        costs[kind].append(_cost(on=kind == "on"))
    on, off = (statistics.median(costs[kind]) for kind in ("on", "off"))
    said = (
        f"{ROUTES} routes, {MANY_RATE} requests/s, weight 20, 1 % errors: the supervisor takes {1000 * on:.0f} ms of "
        f"CPU a second with it, {1000 * off:.0f} without: judgement costs {100 * (on - off):.1f} % of a core"
    )
    if on - off >= 0.05:
        raise DisprovedError(said)
    return said


def _cost(*, on: bool) -> float:
    more = f"weight: 20{'' if on else ', analysis: off'}"
    ways = {"stable": "errors=0.01", "canary": "errors=0.01"}
    with loaded(Judged, ways, lambda plain: split_up(plain, ROUTES, more), rate=MANY_RATE, routes=ROUTES) as made:
        time.sleep(5)
        before = own_cpu(made.proxy.pid)
        time.sleep(20)
        return (own_cpu(made.proxy.pid) - before) / 20


def own_cpu(pid: int) -> float:
    """Seconds that a process itself has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
