"""The real process with secrets in its environment and its files: who gets to see them."""

import http.client
import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.e2e.test_process import ask, origins, processes_below, until
from tests.support.process import canaryproxy

__all__ = ["origins"]

TOKEN, HOOK, HEADER = "t0ken-of-the-admin-api", "t0ken-of-a-webhook", "t0ken-of-a-check"
SECRETS = (TOKEN, HOOK, HEADER)

CONFIG = """
server:
  listen: 127.0.0.1:{port}
  workers: 2
  state: {folder}/made/state.db
  access_log: {{path: '{folder}/access.log'}}
  log: {{format: {form}}}
  admin:
    listen: 127.0.0.1:{admin}
    tokens: [{{name: ci, role: write, token: "${{CI_TOKEN}}"}}]
stable:
  url: http://127.0.0.1:{stable}
  health: {{path: "/?key=${{HEADER}}", interval: 1s, headers: {{authorization: "Bearer ${{HEADER}}"}}}}
canary: http://127.0.0.1:{canary}
weight: ${{WEIGHT}}
rollout:
  steps: [50, 100]
  notify: {{url: "http://127.0.0.1:{shut}/services/${{HOOK}}", retries: 0, token: "${{HOOK}}"}}
  hooks: [{{name: gate, when: start, url: "http://127.0.0.1:{shut}/${{HOOK}}?k=${{HOOK}}", retries: 0}}]
analysis:
  checks:
    - {{name: quality, url: "http://127.0.0.1:{stable}/${{HEADER}}", max: 1, interval: 1s,
        headers: {{x-key: "${{HEADER}}"}}}}
"""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("CI_TOKEN", TOKEN), ("HOOK", HOOK), ("HEADER", HEADER), ("WEIGHT", "50")):
        monkeypatch.setenv(name, value)
    before = os.umask(0)
    yield
    os.umask(before)


def call(port: int, method: str, path: str, token: str = TOKEN) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, body="{}" if method == "POST" else None, headers=headers)
    said = connection.getresponse().read().decode()
    connection.close()
    return said


def holds(pid: int, secrets: tuple[str, ...]) -> list[str]:
    """The secrets in a process's environment as it was started, or anywhere in its memory."""
    parts = [Path(f"/proc/{pid}/environ").read_bytes()]
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(one, 16) for one in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                try:
                    memory.seek(begin)
                    parts.append(memory.read(end - begin))
                except (OSError, ValueError, OverflowError):
                    continue
    return [one for one in secrets if any(one.encode() in part for part in parts)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into another process's memory")
@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_reaches_a_worker_a_log_an_answer_or_a_file_that_others_can_read(
    origins: dict[str, int],
    tmp_path: Path,
    form: str,
) -> None:
    port, admin, shut = free_port(), free_port(), free_port()
    (tmp_path / "made").mkdir(0o700)
    path = tmp_path / "a.yaml"
    text = CONFIG.format(port=port, admin=admin, shut=shut, folder=tmp_path, form=form, **origins)
    path.write_text(text)
    with canaryproxy(tmp_path, str(path), port=port) as proxy:
        below = processes_below(proxy.process.pid)
        assert len(below) == 4
        assert {ask(port) for _ in range(100)} == {"stable", "canary"}
        seen = [proxy.banner]
        call(admin, "GET", "/api/v1/routes/%0a12:00:00%20forged%1b[31m%c2%9b%e2%80%ae", "wrong")
        for route in ("/api/v1/routes", "/api/v1/routes/default", "/api/v1/routes/default/rollout", "/metrics",
                      "/api/v1/routes/default/analysis", "/openapi.json", "/docs", "/readyz"):  # fmt: skip
            seen.append(call(admin, "GET", route))
        seen.append(call(admin, "POST", "/api/v1/routes/default/rollout/start"))
        until(lambda: "gate" in proxy.log.read_text() and "quality" in proxy.log.read_text())
        path.write_text(text.replace("steps: [50, 100]", "steps: '${HOOK}'"))
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: "whose value is not shown" in proxy.log.read_text())
        seen += [call(admin, "GET", "/api/v1/routes/default"), call(admin, "GET", "/api/v1/routes/default/history")]
        for pid, title in processes_below(proxy.process.pid).items():
            if pid != proxy.process.pid:
                assert holds(pid, SECRETS) == [], title
        assert holds(proxy.process.pid, SECRETS) == list(SECRETS), "the search finds nothing at all"
        assert Path(f"/proc/{proxy.process.pid}/mem").stat().st_uid == 0
        proxy.process.send_signal(signal.SIGTERM)
        proxy.process.wait(60)
    log = proxy.log.read_text()
    for said in (*seen, log, (tmp_path / "access.log").read_text(), *kept(tmp_path / "made")):
        assert not any(secret in said for secret in SECRETS)
    assert all(line.isprintable() for line in log.splitlines())
    assert not any(line.startswith("12:00:00 forged") for line in log.splitlines())
    assert re.search(r"login from 127.0.0.1 failed: GET /api/v1/routes/(\\n|\\\\n|%0A)", log)
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in log.splitlines())


def kept(folder: Path) -> Iterator[str]:
    """What the state's files hold. None of them is open to others."""
    for one in folder.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
        yield one.read_bytes().decode("latin-1")
