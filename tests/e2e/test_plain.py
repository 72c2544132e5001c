"""The real process with routes that have no canary: one line is enough, and a canary comes and goes under traffic."""

import http.client
import json
import re
import threading
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.e2e.test_process import ask, origins, until
from tests.support.process import Proxy, canaryproxy

__all__ = ["origins"]


class Traffic(threading.Thread):
    """One client after another, until it is stopped; what it got, and what failed."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._over = threading.Event()
        self.got: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Ask, on a connection that is kept for ten requests."""
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                for _ in range(10):
                    connection.request("GET", "/")
                    response = connection.getresponse()
                    body = response.read().decode()
                    self.got[body] += 1
                    if response.status != 200 or response.getheader("Set-Cookie"):
                        self.wrong.append(f"{response.status} {response.getheaders()}")
            except OSError as error:
                self.wrong.append(repr(error))
            finally:
                connection.close()

    def until(self, version: str) -> None:
        """Wait until this version has answered once more."""
        before = self.got[version]
        until(lambda: self.got[version] > before)

    def stop(self) -> list[str]:
        """Ask no more; what went wrong."""
        self._over.set()
        self.join(10)
        return self.wrong


def admin_of(proxy: Proxy) -> str:
    found = re.search(r"admin (http://[^ ]+)", proxy.banner)
    assert found is not None
    return found.group(1)


def call(proxy: Proxy, method: str, path: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    url = f"{admin_of(proxy)}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def metrics(proxy: Proxy) -> str:
    with urllib.request.urlopen(f"{admin_of(proxy)}/metrics", timeout=10) as response:
        return str(response.read().decode())


def test_one_flag_is_enough_and_a_canary_of_the_api_is_there_after_a_restart(
    origins: dict[str, int], tmp_path: Path
) -> None:
    flags = (
        "--stable",
        f"http://127.0.0.1:{origins['stable']}",
        "--listen",
        "{listen}",
        "--workers",
        "2",
        "--state",
        str(tmp_path / "state.db"),
    )
    route = "/api/v1/routes/default"
    with canaryproxy(tmp_path, *flags) as proxy:
        assert "canary " not in proxy.banner.partition("->")[2]
        assert ask(proxy.port) == "stable"
        assert call(proxy, "GET", route)[1]["canary"] is None
        assert 'version="canary"' not in metrics(proxy)
        code, problem = call(proxy, "POST", f"{route}/rollout/start", {})
        assert (code, problem["type"]) == (409, "urn:canaryproxy:problem:no-canary")
        traffic = Traffic(proxy.port)
        traffic.start()
        traffic.until("stable")
        code, data = call(proxy, "PUT", f"{route}/canary", f"http://127.0.0.1:{origins['canary']}")
        assert (code, data["weight"], data["source"]) == (201, 0.0, "api")
        assert call(proxy, "PUT", f"{route}/weight", {"canary": 100})[0] == 200
        assert ask(proxy.port) == "canary"
        traffic.until("canary")
        assert call(proxy, "DELETE", f"{route}/canary")[0] == 409
        assert 'canaryproxy_weight{route="default",version="canary"} 100.0' in metrics(proxy)
        assert traffic.stop() == []
        proxy.process.terminate()
        proxy.process.wait(20)
    with canaryproxy(tmp_path, *flags) as proxy:
        assert f"canary http://127.0.0.1:{origins['canary']} at 100 % (by the API)" in proxy.banner
        assert ask(proxy.port) == "canary"
        assert call(proxy, "GET", f"{route}/canary")[1]["source"] == "api"
        assert call(proxy, "PUT", f"{route}/weight", {"canary": 0})[0] == 200
        assert call(proxy, "DELETE", f"{route}/canary")[1]["canary"] is None
        assert ask(proxy.port) == "stable"
        assert [one["action"] for one in call(proxy, "GET", f"{route}/history")[1]["entries"]] == [
            "canary",
            "weight",
            "weight",
            "canary",
        ]


def written(path: Path, port: int, stable: int, more: str) -> None:
    server = f"server: {{listen: '127.0.0.1:{port}', admin: {{listen: '127.0.0.1:0'}}, state: memory, workers: 2}}"
    waiting = "affinity: {header: x-user}\nrollout: {steps: [50, 100], every: 1h}\nanalysis: {warmup: 1s}"
    path.write_text(f"{server}\nstable: http://127.0.0.1:{stable}\n{waiting}\n{more}\n")


def test_a_reload_that_adds_and_removes_the_canary_costs_no_request(origins: dict[str, int], tmp_path: Path) -> None:
    path, port = tmp_path / "shop.yaml", free_port()
    canary = f"canary: http://127.0.0.1:{origins['canary']}"
    written(path, port, origins["stable"], "")
    with canaryproxy(tmp_path, str(path), port=port) as proxy:
        traffic = Traffic(port)
        traffic.start()
        traffic.until("stable")
        for _ in range(3):
            written(path, port, origins["stable"], f"{canary}\nweight: 50")
            traffic.until("canary")
            written(path, port, origins["stable"], "canary: off")
            until(lambda: call(proxy, "GET", "/api/v1/routes/default")[1]["canary"] is None)
            assert {ask(port) for _ in range(20)} == {"stable"}
        written(path, port, origins["stable"], canary)
        until(lambda: call(proxy, "GET", "/api/v1/routes/default")[1]["canary"] is not None)
        assert call(proxy, "GET", "/api/v1/routes/default")[1]["weight"] == 0
        assert call(proxy, "POST", "/api/v1/routes/default/rollout/start", {})[1]["phase"] in ("progressing", "baking")
        traffic.until("canary")
        written(path, port, origins["stable"], "")
        until(lambda: call(proxy, "GET", "/api/v1/routes/default")[1]["phase"] == "rolled_back")
        assert call(proxy, "GET", "/api/v1/routes/default/rollout")[1]["reason"] == "removed"
        assert {ask(port) for _ in range(20)} == {"stable"}
        written(path, port, origins["stable"], "weight: 5")
        until(lambda: "the route has no canary" in proxy.log.read_text())
        assert {ask(port) for _ in range(20)} == {"stable"}
        assert traffic.stop() == []
    log = proxy.log.read_text()
    assert "canary of default: none -> http://127.0.0.1" in log
    assert "the rollout has ended, all traffic goes to stable: the canary was removed" in log
