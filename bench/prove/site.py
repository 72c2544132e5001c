"""A proxy with its admin API before two nginx that log every path, and what tests of the control plane ask of it."""

import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.ports import free_port
from bench.processes import canaryproxy, nginx_origin, running, wait_for

PATIENCE = 10.0


class Site:
    """`proxy` is the supervisor's process, started with `command` in `where`. `logs` are the origins' own."""

    proxy: "subprocess.Popen[bytes]"
    where: Path | None = None

    def __init__(self, folder: Path, workers: int, state: str) -> None:
        self.folder = folder
        self.port, self.admin = free_port(), free_port()
        self.origins = {"stable": free_port(), "canary": free_port()}
        self.logs = {name: folder / f"{name}.log" for name in self.origins}
        self.config = folder / "site.yaml"
        self.config.write_text(
            f"server: {{listen: '127.0.0.1:{self.port}', admin: {{listen: '127.0.0.1:{self.admin}'}}, "
            f"workers: {workers}, state: '{state}'}}\n"
            f"stable: http://127.0.0.1:{self.origins['stable']}\ncanary: http://127.0.0.1:{self.origins['canary']}\n"
        )
        self.command = canaryproxy(str(self.config))
        self._api: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Start the proxy and wait until it serves."""
        log = (self.folder / "proxy.log").open("ab")
        self.proxy = subprocess.Popen(self.command, cwd=self.where, stdout=subprocess.DEVNULL, stderr=log)
        log.close()
        wait_for(self.admin, self.proxy)
        deadline = time.monotonic() + PATIENCE
        while self.call("GET", "/readyz")[0] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError("the proxy does not get ready")
            time.sleep(0.02)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """One call of the API on a connection that stays: status and document."""
        if self._api is None:
            self._api = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        data = None if body is None else json.dumps(body)
        try:
            self._api.request(method, path, data, {"Content-Type": "application/json"})
            response = self._api.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self._api.close()
            self._api = None
            raise

    def weigh(self, percent: float) -> int:
        """PUT the weight; the status."""
        return self.call("PUT", "/api/v1/routes/default/weight", {"canary": percent})[0]

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        return metrics_of(self.admin)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                title = (path / "cmdline").read_bytes()
                server = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                parent = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
                if title.startswith(b"canaryproxy: worker") and parent == self.proxy.pid:
                    found.append(int(path.name))
        return sorted(found)


def metrics_of(admin: int) -> dict[str, float]:
    """Every sample that an instance tells on its admin port, by its name and labels."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


@contextlib.contextmanager
def site(workers: int, state: str = "memory", *, logged: bool = False) -> Iterator[Site]:
    """A running site. `logged`: the origins write down every path."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
        folder.chmod(0o755)
        made = Site(folder, workers, state.format(folder=folder))
        for name, port in made.origins.items():
            log = made.logs[name] if logged else None
            stack.enter_context(running(nginx_origin(folder, port, name, log=log), port=port))
        made.start()
        try:
            yield made
        finally:
            if made.proxy.poll() is None:
                made.proxy.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    made.proxy.wait(20)
            if made.proxy.poll() is None:
                made.proxy.kill()
            made.proxy.wait()
