"""What Locust's customers saw, beside what Prometheus and `/stats` say: the same, to the request.

`python -m bench.locust.compare [--kill]` prints the comparison. With `--kill` a worker is killed on the way; what it
had not yet reported is missing then, and stated.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.ports import free_port
from bench.processes import end, program, running
from bench.prove import DisprovedError
from bench.prove.site import Site

CUSTOMERS = 40
SECONDS = 20
KILLS = 3
ERRORS = {"stable": 0.02, "canary": 0.08}
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
VERSIONS = ("stable", "canary")

ROUTE = """
weight: 25
affinity: cookie
headers: {add_version: true}
rules: [{name: testers, headers: {x-internal-tester: "true"}, to: canary}]
goals:
  - {name: add_to_cart, method: POST, path: /cart}
  - {name: purchase, method: POST, path: /checkout}
  - {name: revenue, header: x-order-value}
"""

REPORTED = 0.25
"""Seconds of counts that a worker which is killed may take with it, and some for the load's unevenness."""


class Prometheus:
    """A real one."""

    def __init__(self, port: int) -> None:
        self._port = port

    def sums(self, metric: str, by: str = "version") -> dict[tuple[str, str], float]:
        """Sums of a metric of now, by version and another label."""
        query = urllib.parse.urlencode({"query": f"sum by (version, {by}) ({metric})"})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return {(one["metric"].get("version", ""), one["metric"].get(by, "")): float(one["value"][1]) for one in found}


@contextlib.contextmanager
def prometheus(folder: Path, target: int) -> Iterator[Prometheus]:
    """Scraping four times a second."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 250ms}\n"
        f"scrape_configs: [{{job_name: c, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with running(command, port=port):
        yield Prometheus(port)


class Saw:
    """What both sides counted."""

    def __init__(self, locust: dict[str, float], stats: dict[str, Any], data: Prometheus) -> None:
        self._locust = locust
        self._versions = stats["versions"]
        self._codes = data.sums("canaryproxy_requests_total", "code")
        self._reasons = data.sums("canaryproxy_decisions_total", "reason")
        self._events = data.sums("canaryproxy_goal_events_total", "goal")
        self._values = data.sums("canaryproxy_goal_value_total", "goal")

    def _seen(self, version: str, what: str, *who: str) -> float:
        return sum(
            count for name, count in self._locust.items() for one in who if name.startswith(f"{version} {one} {what}")
        )

    def pairs(self) -> Iterator[tuple[str, float, float]]:
        """(what, Locust's number, ours) of everything that both counted."""
        everybody = ("customers", "testers")
        for version in VERSIONS:
            stats = self._versions[version]
            codes = sorted({code for side, code in self._codes if side == version})
            for code in codes:
                what = f"requests {code}"
                yield f"{version} {code}, Prometheus", self._seen(version, what, *everybody), self._codes[version, code]
            mine = self._seen(version, "requests", "customers")
            yield f"{version} requests, /stats", mine, stats["requests"]
            drawn = sum(self._reasons.get((version, reason), 0) for reason in ("weight", "affinity"))
            yield f"{version} decisions by weight and affinity", mine, drawn
            yield f"{version} errors, /stats", self._seen(version, "requests 5", "customers"), stats["errors"]
            yield f"{version} users, /stats", self._locust.get(f"{version} users", 0), stats["users"]
            failed = self._locust.get(f"{version} users failed", 0)
            yield f"{version} users failed, /stats", failed, stats["users_failed"]
            yield from self._goals(version, everybody)

    def _goals(self, version: str, everybody: tuple[str, ...]) -> Iterator[tuple[str, float, float]]:
        stats = self._versions[version]["goals"]
        for goal in ("add_to_cart", "purchase"):
            yield f"{version} {goal}, Prometheus", self._seen(version, goal, *everybody), self._events[version, goal]
            yield f"{version} {goal}, /stats", self._seen(version, goal, "customers"), stats[goal]["events"]
            users = self._locust.get(f"{version} users {goal}", 0)
            yield f"{version} users who {goal}, /stats", users, stats[goal]["users"]
        revenue = self._seen(version, "revenue", *everybody), round(self._values[version, "revenue"], 2)
        yield f"{version} revenue, Prometheus", *revenue
        yield (
            f"{version} revenue, /stats",
            self._seen(version, "revenue", "customers"),
            round(stats["revenue"]["value"], 2),
        )


def run(*, kill: bool) -> tuple[Saw, dict[str, float]]:
    """Play the customers; what both sides counted, and Locust's counts alone."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="locust-")))
        site = Site(folder, 2, "memory")
        site.config.write_text(site.config.read_text() + ROUTE)
        for name, port in site.origins.items():
            command = [sys.executable, "-m", "bench.locust.shop", str(port), str(ERRORS[name])]
            stack.enter_context(running(command, port=port))
        site.start()
        stack.callback(end, site.proxy)
        data = stack.enter_context(prometheus(folder, site.admin))
        counts = folder / "counts.json"
        _play(site, counts, kill=kill)
        time.sleep(1.5)
        locust = json.loads(counts.read_text())
        return Saw(locust, site.call("GET", "/api/v1/routes/default/stats?window=10m")[1], data), locust


def _play(site: Site, counts: Path, *, kill: bool) -> None:
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--headless",
        "--host",
        f"http://127.0.0.1:{site.port}",
        "--users",
        str(CUSTOMERS),
        "--spawn-rate",
        "20",
        "--run-time",
        f"{SECONDS}s",
        "--stop-timeout",
        "10",
        "--only-summary",
        "--loglevel",
        "ERROR",
    ]
    with (site.folder / "locust.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "LOCUST_COUNTS": str(counts)})
    try:
        for _ in range(KILLS if kill else 0):
            time.sleep(SECONDS / (KILLS + 1))
            os.kill(site.workers()[0], signal.SIGKILL)
        process.wait(SECONDS + 60)
    finally:
        end(process)


def same() -> str:
    """Everything that both sides counted is the same."""
    saw, locust = run(kill=False)
    pairs = list(saw.pairs())
    wrong = [f"{what}: {theirs:g} and {ours:g}" for what, theirs, ours in pairs if theirs != ours]
    requests = sum(count for name, count in locust.items() if " requests " in name)
    users = sum(count for name, count in locust.items() if name.endswith(" users"))
    said = f"{requests:,} requests of {users:,} users: {len(pairs)} numbers compared, {len(wrong)} differ"
    if wrong or not requests or locust.get("lost"):
        raise DisprovedError(f"{said}: {'; '.join(wrong)}; {locust.get('lost', 0)} lost")
    return said


def after_kills() -> str:
    """The same with workers killed: nothing is counted twice, and no more is missing than was not yet reported."""
    saw, locust = run(kill=True)
    pairs = list(saw.pairs())
    requests = sum(count for name, count in locust.items() if " requests " in name)
    counted = sum(
        ours for what, _, ours in pairs if what.endswith(", Prometheus") and what.split()[1].startswith(("2", "4", "5"))
    )
    missing, most = requests - counted, KILLS * REPORTED * requests / SECONDS
    lost = locust.get("lost", 0)
    over = [
        f"{what}: {theirs:g} and {ours:g}"
        for what, theirs, ours in pairs
        if ours > theirs + lost and "revenue" not in what
    ]
    said = (
        f"{KILLS} workers killed under {requests:,} requests ({lost:g} lost on their connections): "
        f"{missing:g} of them are in no counter, {most:.0f} may be missing"
    )
    if missing > most or missing < 0 or over:
        raise DisprovedError(f"{said}; {'; '.join(over)}")
    return said


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kill", action="store_true", help="kill a worker three times on the way")
    saw, _ = run(kill=parser.parse_args().kill)
    differ = 0
    for what, theirs, ours in saw.pairs():
        differ += theirs != ours
        print(
            f"{what:45} Locust {theirs:>10,.10g}   canaryproxy {ours:>10,.10g}{'' if theirs == ours else '   differs'}"
        )
    print(f"{differ} differ")


if __name__ == "__main__":
    main()
