"""Makes the golden states of a version, and writes down what that very version finds in them.

Run it with the environment of the version that is to be written down, in its checkout:

    git clone /path/to/canaryproxy old && cd old && git checkout 64e2905 && make
    git show d8fb47b:tests/support/golden.py > tests/support/golden.py  # of a version that has none, or as old a wiring
    netbox env PYTHONPATH=$PWD .venv/bin/python NEW/tests/data/state/make.py NEW/tests/data/state/64e2905

Each scenario starts the real process with real traffic, drives it over the admin API and ends it with `kill -9`. What
the file holds then is written as SQL (`NAME.sql`), beside its config (`NAME.yaml`). `NAME.json` is what the version says
of that file when it starts on it: state, rollout, evidence of every check, history. Nothing here imports the version
that is tested but by names that both have.
"""

import http.client
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

STABLE, CANARY, PROXY, ADMIN = 19001, 19002, 18080, 18090
"""Ports, the same in every run: evidence is about one canary, and the port is part of which one. Run it in a network
namespace of its own.
"""

PATIENCE = 60.0

SERVER = "server: {listen: '127.0.0.1:%d', workers: 1, state: '%s', admin: {listen: '127.0.0.1:%d'}}\n"
SIDES = f"stable: 'http://127.0.0.1:{STABLE}', canary: 'http://127.0.0.1:{CANARY}'"
QUICK = "min_requests: 10, warmup: 0s"
EVERYTHING = (
    "analysis: {min_requests: 10, warmup: 0s, errors: {max: 90%, vs_stable: 50}, latency: {max: 30s}, "
    "goals: [{goal: cart, on_harm: rollback}, {goal: revenue, tolerance: 2%}], "
    "resources: [{name: cpu, counter: process_cpu_seconds_total, block: 10s}], "
    f"checks: [{{name: quality, url: 'http://127.0.0.1:{STABLE}/score', field: /score, min: 0.5, interval: 1s}}]}}, "
    "goals: [{name: cart, method: GET, path: /cart}, {name: revenue, header: x-order-value}]"
)


class Version(http.server.BaseHTTPRequestHandler):
    """One side: fails and dawdles as its server says, tells of its CPU, and sells things."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        server: Any = self.server
        server.count += 1
        status, body = 200, b"ok"
        if self.path == "/metrics":
            body = f"process_cpu_seconds_total {100 + server.count * 0.001:.6f}\n".encode()
        elif self.path == "/score":
            body = b'{"score": 0.75}'
        elif self.path == "/gate":
            status = 403
        elif server.every and server.count % server.every == 0:
            status = 500
        elif server.count % 37 == 0:
            status = 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/cart":
            self.send_header("X-Order-Value", str(10 + server.count % 7))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Of one version. That the proxy is killed is no news."""

    daemon_threads = True
    request_queue_size = 64
    count = every = 0

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


class Stage:
    """A running instance with its two versions."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", sides: dict[str, Any]) -> None:
        self.folder = folder
        self.process = process
        self.sides = sides

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The admin API."""
        connection = http.client.HTTPConnection("127.0.0.1", ADMIN, timeout=PATIENCE)
        with closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/routes/{path}", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text!r}"
            return json.loads(text)

    def do(self, verb: str, route: str = "shop") -> None:
        """A verb of the rollout."""
        self.ask("POST", f"{route}/rollout/{verb}", {})

    def rollout(self, route: str = "shop") -> dict[str, Any]:
        """Where it stands."""
        found: dict[str, Any] = self.ask("GET", f"{route}/rollout")
        return found

    def until(self, holds: Callable[[dict[str, Any]], bool], route: str = "shop") -> None:
        """Wait for a rollout."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := self.rollout(route)):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def phase(self, phase: str, route: str = "shop") -> None:
        """Wait for a phase."""
        self.until(lambda found: found["phase"] == phase, route)

    def judged(self, seconds: float = 12.0) -> None:
        """Let evidence come in, and be written down."""
        time.sleep(seconds)


Act = Callable[[Stage], None]


def act(*steps: Act) -> Act:
    """One after another."""

    def whole(stage: Stage) -> None:
        for step in steps:
            step(stage)

    return whole


def do(verb: str, route: str = "shop") -> Act:
    """A verb."""
    return lambda stage: stage.do(verb, route)


def phase(name: str, route: str = "shop") -> Act:
    """Wait for a phase."""
    return lambda stage: stage.phase(name, route)


def judged(seconds: float = 12.0) -> Act:
    """Wait for evidence."""
    return lambda stage: stage.judged(seconds)


def ask(method: str, path: str, body: object) -> Act:
    """Something else of the API."""

    def asked(stage: Stage) -> None:
        stage.ask(method, path, body)

    return asked


def fails(side: str, every: int) -> Act:
    """From now on every so-manieth request of a version fails."""
    return lambda stage: setattr(stage.sides[side], "every", every)


def until(**wanted: object) -> Act:
    """Wait until the rollout is like that."""
    return lambda stage: stage.until(lambda found: all(found[name] == one for name, one in wanted.items()))


def route(more: str = "", *, rollout: str = "steps: [20, 50, 100], every: 1h", analysis: str = QUICK) -> str:
    """The config of one route `shop`."""
    return f"routes: {{shop: {{{SIDES}, rollout: {{prove_above: 100%, {rollout}}}, analysis: {{{analysis}}}{more}}}}}\n"


BY_HEADER = {"name": "testers", "headers": {"x-tester": {"in": ["1", "2"]}}, "percent": 50, "to": "canary"}
FILE_RULES = ", rules: [{name: beta, cookies: {beta: '1'}, to: canary, preview: true}]"

SEVERAL = f"""routes:
  shop: {{hosts: [shop.test], {SIDES}, rollout: {{prove_above: 100%, steps: [20, 50, 100], every: 1h}}, \
analysis: {{{QUICK}}}}}
  held: {{hosts: [held.test], {SIDES}, rollout: {{steps: [5, 100], every: 1h}}, analysis: {{{QUICK}}}, affinity: cookie}}
  gone: {{hosts: [gone.test], {SIDES}, rollout: {{steps: [10, 100], every: 1h}}}}
  rest: {{hosts: [rest.test], {SIDES}, weight: 3}}
"""

SCENARIOS: dict[str, tuple[str, Act]] = {
    "idle-file": (route(", weight: 5"), judged(2)),
    "idle-api-weight": (route(", weight: 5"), act(ask("PUT", "shop/weight", {"canary": 12.5}), judged(2))),
    "idle-api-rules": (route(FILE_RULES), act(ask("POST", "shop/rules", BY_HEADER), judged(1))),
    "idle-aborted": (route(", weight: 5"), act(do("abort"), judged(1))),
    "latched": (route(", weight: 5"), judged(1)),
    "progressing": (
        f"routes: {{shop: {{{SIDES}, rollout: {{prove_above: 100%, steps: [20, 50, 100], every: 1h}}, {EVERYTHING}}}}}\n",
        act(fails("stable", 100), fails("canary", 90), judged(3), do("start"), judged(40), do("promote"), judged(25)),
    ),
    "progressing-users": (route(", affinity: cookie"), act(fails("stable", 300), fails("canary", 250), do("start"), judged(20))),
    "progressing-endpoints": (
        route(analysis=f"{QUICK}, unit: endpoint-second"),
        act(fails("stable", 60), fails("canary", 50), do("start"), judged()),
    ),
    "paused-manual": (route(), act(do("start"), judged(4), do("promote"), judged(6), do("pause"), judged(3))),
    "paused-hold": (
        route(rollout="steps: [{weight: 20, hold: true}, 100], every: 1s"),
        act(do("start"), until(phase="paused", reason="step"), judged(3)),
    ),
    "paused-gate": (
        route(
            rollout="steps: [20, 50, 100], every: 1s, hooks: [{name: ok, when: raise, "
            f"url: 'http://127.0.0.1:{STABLE}/gate', retries: 0}}]"
        ),
        act(do("start"), until(phase="paused", reason="gate"), judged(3)),
    ),
    "paused-timeout": (
        route(rollout="steps: [20, 100], every: 1s, step_timeout: 3s", analysis="min_requests: 1000000, warmup: 0s"),
        act(do("start"), until(phase="paused", reason="timeout"), judged(2)),
    ),
    "baking": (
        route(rollout="steps: [50, 100], every: 4s, bake: 1h"), act(judged(4), do("start"), phase("baking"), judged(4))
    ),
    "baking-control": (
        route(rollout="steps: [50, 100], every: 4s, bake: 1h", analysis=f"{QUICK}, limits: off"),
        act(
            judged(4), do("start"), phase("baking"), judged(3), fails("canary", 10), until(reason="control"), fails("canary", 0), judged(3)
        ),
    ),
    "succeeded": (
        route(rollout="steps: [50, 100], every: 2s, bake: 2s"), act(do("start"), phase("succeeded"), judged(1))
    ),
    "rolled-back": (route(), act(do("start"), judged(3), fails("canary", 1), phase("rolled_back"), judged(1))),
    "aborted": (route(), act(do("start"), judged(4), do("promote"), judged(3), do("abort"), judged(1))),
    "ramp": (
        route(rollout="steps: [20, 40, 60, 100], every: 1h, rollback: 1h", analysis=f"{QUICK}, limits: off"),
        act(
            do("start"), judged(2), do("promote"), do("promote"), judged(6), fails("canary", 4), phase("rolled_back"),
            judged(3),
        ),
    ),
    "dry-run": (
        route(rollout="steps: [20, 50, 100], every: 1h, dry_run: true"),
        act(do("start"), judged(3), fails("canary", 2), judged(12)),
    ),
    "failing-paused": (
        route(analysis=f"{QUICK}, dry_run: true"),
        act(do("start"), judged(3), fails("canary", 2), judged(10), do("pause"), judged(3)),
    ),
    "several": (
        SEVERAL,
        act(
            fails("canary", 50), do("start", "shop"), do("start", "held"), do("start", "gone"), judged(10),
            do("promote", "shop"), do("pause", "held"), do("abort", "gone"), ask("PUT", "rest/weight", {"canary": 7}),
            judged(6),
        ),
    ),
}  # fmt: skip

ALONE = f"routes: {{shop: {{stable: 'http://127.0.0.1:{STABLE}', rollout: {{prove_above: 100%, steps: [20, 50, 100], every: 1h}}, analysis: {{{QUICK}}}}}}}\n"
OTHER = {"url": f"http://127.0.0.1:{CANARY}", "version": "c1", "connect_timeout": "2s"}

NAMED: dict[str, tuple[str, Act]] = {
    "api-canary": (
        ALONE,
        act(
            ask("PUT", "shop/canary", OTHER), ask("POST", "shop/rollout/start", {"version": "v1", "stable_version": "v0"}),
            judged(4), do("promote"), judged(4), do("pause"), judged(2),
        ),
    ),
    "superseded": (
        route(),
        act(
            ask("POST", "shop/rollout/start", {"version": "v1"}), judged(4), do("abort"),
            ask("POST", "shop/rollout/start", {"version": "v2"}), judged(3),
            ask("POST", "shop/rollout/start", {"version": "v3"}), judged(4),
        ),
    ),
    "api-removed": (
        ALONE,
        act(
            ask("PUT", "shop/canary", OTHER), do("start"), judged(3), fails("canary", 1), phase("rolled_back"),
            ask("DELETE", "shop/canary", None), judged(2),
        ),
    ),
    "file-removed-by-api": (
        route(", affinity: cookie"), act(do("start"), judged(3), do("abort"), do("reset"), ask("DELETE", "shop/canary", None), judged(1))
    ),
}  # fmt: skip
"""What the version that followed 64e2905 stores beside that: names, the last rollouts, canaries of the API."""

USERS = "affinity: {cookie: who, max_age: 1h}"
ALL_RULES = [
    {"name": "team", "headers": {"x-team": "blue", "x-build": {"prefix": "nightly-"}, "x-id": {"regex": "[0-9]+"}}, "to": "canary"},
    {"name": "flagged", "cookies": {"beta": {"present": True}, "old": {"present": False}}, "query": {"preview": {"in": ["1", "yes"]}},
     "to": "canary", "preview": True, "analyse": True},
    {"name": "listed", "headers": {"accept-language": {"item": ["de", "fr"]}, "x-groups": {"item": "staff"}}, "to": "canary", "percent": 12.5},
    {"name": "office", "methods": ["GET", "POST"], "path": {"prefix": "/shop"}, "sources": ["10.1.0.0/16", "2001:db8::/32"], "to": "stable"},
    {"name": "one-page", "path": "/a/b", "to": "stable"},
    {"name": "pages", "path": {"regex": "/p/[0-9]+"}, "to": "canary", "percent": 0},
]  # fmt: skip
FULL = {
    "endpoints": [f"http://127.0.0.1:{CANARY}", f"http://localhost:{CANARY}"], "version": "c2", "connect_timeout": "2s",
    "response_timeout": "20s", "keep_alive": "5s", "max_in_flight": 50,
    "health": {"path": "/", "interval": "1s", "timeout": "500ms", "unhealthy": 3, "healthy": 2, "version_header": "x-version"},
}  # fmt: skip


def rules_of_all_kinds(stage: Stage) -> None:
    """Set over the API, one by one."""
    for rule in ALL_RULES:
        stage.ask("POST", "shop/rules", rule)


def edited(before: str, after: str) -> Act:
    """The file says something else from now on."""

    def edit(stage: Stage) -> None:
        path = stage.folder / "config.yaml"
        text = path.read_text()
        assert before in text, text
        path.write_text(text.replace(before, after))
        time.sleep(3)

    return edit


LATER: dict[str, tuple[str, Act]] = {
    "idle-api-all-rules": (route(", weight: 5"), act(rules_of_all_kinds, judged(1))),
    "api-canary-full": (
        ALONE, act(ask("PUT", "shop/canary", FULL), ask("PUT", "shop/weight", {"canary": 0.25}), judged(2))
    ),
    "users-everything": (
        f"routes: {{shop: {{{SIDES}, {USERS}, rollout: {{prove_above: 100%, steps: [20, 50, 100], every: 1h}}, {EVERYTHING}}}}}\n",
        act(fails("stable", 100), fails("canary", 90), judged(2), do("start"), judged(22)),
    ),
    "mirrored": (
        route(
            ", mirror: {percent: 50, max_body: 1KiB}, shield: {timeout: 2s, budget: 20}",
            rollout="steps: [{weight: 10, mirror: {percent: 20}, rules: [{name: only, headers: {x-a: b}, to: canary}]}, 50, 100], "
            "every: 1h, max_failed: 1000",
        ),
        act(fails("stable", 90), fails("canary", 80), do("start"), judged(8)),
    ),
    "waiting": (
        route(", weight: 5"), act(do("start"), judged(3), edited("weight: 5", "weight: 9"), judged(2))
    ),
    "plan-edited": (
        route(), act(do("start"), judged(3), do("promote"), edited("[20, 50, 100]", "[20, 60, 80, 100]"), judged(3))
    ),
    "other-canary": (
        route(), act(do("start"), judged(3), do("promote"), edited(f"127.0.0.1:{CANARY}", f"localhost:{CANARY}"), judged(3))
    ),
    "retried": (
        route(), act(do("start"), judged(2), do("abort"), do("retry"), judged(4))
    ),
    "reset": (route(", weight: 5"), act(do("start"), judged(2), do("abort"), do("reset"), judged(1))),
    "succeeded-weighed": (
        route(rollout="steps: [50, 100], every: 2s, bake: 2s"),
        act(do("start"), phase("succeeded"), ask("PUT", "shop/weight", {"canary": 80}), judged(1)),
    ),
    "latched-decided": (
        route(", weight: 5"), act(judged(1), ask("PUT", "shop/weight", {"canary": 3.5}), judged(1))
    ),
    "limit-passed": (
        route(analysis=f"{QUICK}, dry_run: true, limits: {{error_rate: 10%, min_requests: 10}}"),
        act(do("start"), judged(3), fails("canary", 1), judged(5)),
    ),
}  # fmt: skip
"""What the commit before the rooms were rebuilt stores beside all that."""

DAMAGED = b"no database" * 99 + b'CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) "weight_source"'
"""A state file that was ours (`store/place.py`, MARKS)."""


@contextmanager
def versions() -> Iterator[dict[str, Any]]:
    """Both sides, at their ports."""
    found: dict[str, Any] = {}
    for name, port in (("stable", STABLE), ("canary", CANARY)):
        server = Server(("127.0.0.1", port), Version)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found[name] = server
    try:
        yield found
    finally:
        for server in found.values():
            server.shutdown()
            server.server_close()


@contextmanager
def traffic(hosts: tuple[str, ...]) -> Iterator[None]:
    """Requests on four connections, every tenth to the cart; every connection is another user now and then."""
    over = threading.Event()

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PROXY, timeout=PATIENCE)
        count, cookie = number, ""
        while not over.wait(0.008):
            count += 1
            if count % 5 == 0:
                cookie = ""
            headers = {"Host": hosts[count % len(hosts)]} | ({"Cookie": cookie} if cookie else {})
            try:
                connection.request("GET", "/cart" if count % 10 == 0 else "/", headers=headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            given = answer.getheader("Set-Cookie")
            cookie = given.split(";")[0] if given else cookie
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(4)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join()


def ready() -> bool:
    """Whether the instance serves."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", ADMIN, timeout=1)) as connection:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    except OSError:
        return False


@contextmanager
def instance(folder: Path, routes: str, sides: dict[str, Any]) -> Iterator[Stage]:
    """The real process; ended with `kill -9`."""
    config = folder / "config.yaml"
    config.write_text(SERVER % (PROXY, folder / "state.db", ADMIN) + routes)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "canaryproxy", "run", str(config)], stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "it does not get ready"
            time.sleep(0.05)
        yield Stage(folder, process, sides)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.3)


def hosts_of(routes: str) -> tuple[str, ...]:
    """To which hosts requests go."""
    return ("shop.test", "held.test", "gone.test", "rest.test") if routes == SEVERAL else ("shop.test",)


def make(name: str, out: Path) -> None:
    """One golden state."""
    routes, drive = {**SCENARIOS, **NAMED, **LATER}[name]
    with tempfile.TemporaryDirectory() as there, versions() as sides:
        folder = Path(there)
        if name in ("latched", "latched-decided"):
            (folder / "state.db").write_bytes(DAMAGED)
        with instance(folder, routes, sides) as stage, traffic(hosts_of(routes)):
            drive(stage)
            os.kill(stage.process.pid, signal.SIGKILL)
        text = as_sql(folder / "state.db")
        routes = (folder / "config.yaml").read_text().partition("\n")[2]
    (out / f"{name}.yaml").write_text(routes)
    (out / f"{name}.sql").write_text(text)


def as_sql(path: Path) -> str:
    """The whole file, log included, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [
            f"PRAGMA {one} = {connection.execute(f'PRAGMA {one}').fetchone()[0]};"
            for one in ("application_id", "user_version")
        ]
        return "\n".join([*pragmas, *connection.iterdump(), ""])


def restored(sql: Path, path: Path) -> Path:
    """The file that was written down."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def main() -> None:
    """Make all, or those that are named."""
    from tests.support.golden import observed

    out = Path(sys.argv[1])
    for name in sys.argv[2:] or [*SCENARIOS, *NAMED, *LATER]:
        make(name, out)
        with tempfile.TemporaryDirectory() as there:
            found = observed(restored(out / f"{name}.sql", Path(there, "state.db")), (out / f"{name}.yaml").read_text())
        (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(name, {route: (one["phase"], one["reason"], one["weight"]) for route, one in found["routes"].items()})


if __name__ == "__main__":
    main()
