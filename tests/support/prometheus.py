"""A real Prometheus on loopback, for tests of what it receives."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.conftest import SEARCH_PATH
from tests.support.nginx import wait_for

CONFIG = """
global: {{scrape_interval: 250ms, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: canaryproxy
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""
PATIENCE = 60.0

Series = list[tuple[dict[str, str], float]]


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self._port = port

    def query(self, expr: str) -> Series:
        """An instant query: labels and value of every series. Raises `AssertionError` for one that is refused."""
        url = f"http://127.0.0.1:{self._port}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                data: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expr}: {error.read().decode()}") from None
        return [(one["metric"], float(one["value"][1])) for one in data["data"]["result"]]

    def value(self, expr: str) -> float:
        """The value of the one series that a query gives; NaN while there is none."""
        found = self.query(expr)
        return found[0][1] if len(found) == 1 else float("nan")

    def until(self, expr: str, holds: Callable[[float], bool]) -> float:
        """Wait for a value."""
        deadline = time.monotonic() + PATIENCE
        while not holds(value := self.value(expr)):
            assert time.monotonic() < deadline, f"{expr} stays at {value}"
            time.sleep(0.1)
        return value


@contextlib.contextmanager
def prometheus(folder: Path, target: int, rules: Path, port: int = 0) -> Iterator[Prometheus]:
    """Scrape a loopback port four times a second."""
    program, port = shutil.which("prometheus", path=SEARCH_PATH), port or free_port()
    assert program is not None
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(target=target, rules=rules))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(port)
        wait_until_ready(port)
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(20)


def wait_until_ready(port: int) -> None:
    """It listens before it has read its storage, and refuses queries until then."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return
        assert time.monotonic() < deadline, "prometheus does not get ready"
        time.sleep(0.1)


def promtool(*arguments: str, given: bytes = b"") -> str:
    """What promtool says. Raises `AssertionError` where it finds something."""
    program = shutil.which("promtool", path=SEARCH_PATH)
    assert program is not None
    done = subprocess.run([program, *arguments], input=given, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said
