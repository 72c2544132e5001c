"""The configs of the overlays, run: a sidecar that is driven by its API, and several that follow the ConfigMap."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from canaryproxy.probe import Question
from canaryproxy.probe import ask as ask_probe
from tests.packaging.test_kubernetes import config
from tests.support.nginx import nginx
from tests.support.process import Proxy, canaryproxy

PATIENCE = 60.0
TOKEN = "a-token-of-the-secret"

pytestmark = [pytest.mark.needs("kubectl"), pytest.mark.needs("nginx")]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(nginx(tmp_path_factory.mktemp(name), name)) for name in ("stable", "canary")}


def ask(port: int, method: str = "GET", path: str = "/", body: object = None, token: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Pod:
    """The overlay's config with nothing changed but ports, places and the names of its neighbours."""

    def __init__(self, overlay: str, folder: Path, apps: dict[str, int]) -> None:
        self.port, self.admin, self.probes = free_port(), free_port(), free_port()
        text, _ = config(overlay, folder)
        for old, new in (
            ("0.0.0.0:8080", f"127.0.0.1:{self.port}"),
            (":9900", f":{self.admin}"),
            (":9901", f":{self.probes}"),
            ("127.0.0.1:8081", f"127.0.0.1:{apps['stable']}"),
            ("app-canary:8080", f"127.0.0.1:{apps['canary']}"),
            ("/run/secrets/canaryproxy/token", str(folder / "token")),
            ("/var/lib/canaryproxy", str(folder)),
            ("/run/canaryproxy", str(folder)),
        ):
            text = text.replace(old, new)
        self.text = text

    def served(self) -> str:
        return ask(self.port)[1].strip()


@contextlib.contextmanager
def running(pod: Pod, folder: Path, path: Path) -> Iterator[Proxy]:
    with canaryproxy(folder, str(path), port=pod.port) as proxy:
        assert ask(pod.probes, path="/readyz")[0] == 200
        yield proxy


def test_a_sidecar_is_driven_by_its_api_on_the_pods_address_with_a_token(apps: dict[str, int], tmp_path: Path) -> None:
    pod, path = Pod("sidecar", tmp_path, apps), tmp_path / "canaryproxy.yaml"
    path.write_text(pod.text)
    assert f"listen: 0.0.0.0:{pod.admin}" in pod.text
    weight = "/api/v1/routes/app/weight"
    with running(pod, tmp_path, path):
        assert ask_probe(Question(socket=str(tmp_path / "probes.sock")), {}) == "alive"
        assert pod.served() == "stable"
        assert ask(pod.admin, "PUT", weight, {"canary": 100})[0] == 401
        assert ask(pod.admin, "PUT", weight, {"canary": 100}, "a-wrong-token-altogether")[0] == 401
        status, data = ask(pod.admin, "PUT", weight, {"canary": 100}, TOKEN)
        assert (status, json.loads(data)["source"]) == (200, "api")
        assert pod.served() == "canary"
    with running(pod, tmp_path, path):
        assert pod.served() == "canary"


def test_several_sidecars_follow_the_configmap(apps: dict[str, int], tmp_path: Path) -> None:
    """As the kubelet delivers it: a link to a directory, replaced by another one."""
    with contextlib.ExitStack() as stack:
        pods = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            pod = Pod("sidecar-replicas", folder, apps)
            pods.append((pod, folder))
            _deliver(folder, "..2026_1", pod.text.replace("weight: 5", "weight: 0"))
            (folder / "canaryproxy.yaml").symlink_to("..data/canaryproxy.yaml")
            stack.enter_context(running(pod, folder, folder / "canaryproxy.yaml"))
        assert [pod.served() for pod, _ in pods] == ["stable", "stable"]
        for pod, folder in pods:
            _deliver(folder, "..2026_2", pod.text.replace("weight: 5", "weight: 100"))
        deadline = time.monotonic() + PATIENCE
        while [pod.served() for pod, _ in pods] != ["canary", "canary"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _deliver(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "canaryproxy.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")
