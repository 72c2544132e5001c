"""The manifests: what kubectl makes of them, held against the real schemas and against each other."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from canaryproxy.config import Config, parse
from canaryproxy.probe import Question, read
from tests.support.process import ROOT

K8S = ROOT / "k8s"
OVERLAYS = ("gateway", "sidecar", "sidecar-replicas", "demo")
SCHEMAS = ("1.29", "1.37.0")
"""Versions of Kubernetes that are tried: an old one still in use, and the newest whose schemas are known."""

GRACE = 5
"""Seconds in which newcomers are served after SIGTERM, at most (docs/operations.md)."""

Manifest = dict[str, Any]
HERE = Path(__file__).parent

pytestmark = pytest.mark.needs("kubectl")


@cache
def built(folder: str) -> tuple[Manifest, ...]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(["kubectl", "kustomize", str(K8S / folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Manifest, ...]:
    return built(f"overlays/{name}")


def of(manifests: tuple[Manifest, ...], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    return {name: one["spec"]["template"] for name, one in of(manifests, "Deployment").items()}


def config(name: str, folder: Path) -> tuple[str, Config]:
    """The config that the overlay's pods get, with a token in place of the Secret's."""
    text = of(overlay(name), "ConfigMap")["canaryproxy"]["data"]["canaryproxy.yaml"]
    token = folder / "token"
    token.write_text("a-token-of-the-secret")
    return text, parse(text.replace("/run/secrets/canaryproxy/token", str(token)), name, {})


def proxy(name: str) -> Manifest:
    pod: Manifest = pods(overlay(name))["canaryproxy"]["spec"]
    return pod


def container(pod: Manifest) -> Manifest:
    found: Manifest = next(one for one in pod["containers"] if one["name"] == "canaryproxy")
    return found


@pytest.mark.parametrize("version", SCHEMAS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_manifest_fits_the_real_schema(name: str, version: str) -> None:
    for one in overlay(name):
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_do_refuse() -> None:
    (deployment,) = of(overlay("gateway"), "Deployment").values()
    spoilt = json.loads(json.dumps(deployment))
    spoilt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, SCHEMAS[-1], strict=True)


@pytest.mark.needs("npm")
def test_the_service_monitor_and_the_alerts_fit_the_operators_schemas(tmp_path: Path) -> None:
    shutil.copytree(HERE / "servicemonitor", tmp_path, dirs_exist_ok=True)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (monitor,) = yaml.safe_load_all((K8S / "components/servicemonitor/servicemonitor.yaml").read_text())

    def validate(document: Manifest) -> int:
        given = json.dumps(document).encode()
        return subprocess.run(
            ["node", "validate.js"], cwd=tmp_path, input=given, capture_output=True, check=False
        ).returncode

    assert validate(monitor) == 0
    assert validate({**monitor, "spec": {"endpoints": [{"port": 9901}]}}) != 0
    (rule,) = yaml.safe_load_all((K8S / "components/prometheusrule/prometheusrule.yaml").read_text())
    assert validate(rule) == 0
    assert validate({**rule, "spec": {"groups": [{"rules": []}]}}) != 0
    services = of(overlay("gateway"), "Service")
    ports = {port["name"] for port in services["canaryproxy-metrics"]["spec"]["ports"]}
    assert {one["port"] for one in monitor["spec"]["endpoints"]} <= ports
    assert (
        monitor["spec"]["selector"]["matchLabels"].items()
        <= services["canaryproxy-metrics"]["metadata"]["labels"].items()
    )


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_restricted(name: str) -> None:
    """The rules of the Pod Security Standard `restricted` that concern us."""
    for pod in pods(overlay(name)).values():
        spec = pod["spec"]
        own = spec["securityContext"]
        assert own["runAsNonRoot"] is True
        assert own["runAsUser"] > 0
        assert own["seccompProfile"]["type"] == "RuntimeDefault"
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert all(
            volume.keys() & {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
            for volume in spec.get("volumes", [])
        )
        for one in spec["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert "memory" in one["resources"]["limits"]
            assert not any("hostPort" in port for port in one.get("ports", []))


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_config_fits_the_pod(name: str, tmp_path: Path) -> None:
    _, loaded = config(name, tmp_path)
    pod, mine = proxy(name), container(proxy(name))
    ports = {port["name"]: port["containerPort"] for port in mine["ports"]}
    assert [listener.address.port for listener in loaded.server.listen] == [ports["http"]]
    assert loaded.server.probes is not None
    assert loaded.server.probes.listen is not None
    assert loaded.server.probes.listen.port == ports["probes"]
    assert mine["readinessProbe"]["httpGet"] == {"port": "probes", "path": "/readyz"}
    mounts = {mount["mountPath"]: mount["name"] for mount in mine["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts["/etc/canaryproxy"]]["configMap"]["name"] == "canaryproxy"
    assert mine["args"] == ["run", "/etc/canaryproxy/canaryproxy.yaml"]
    assert ("/var/lib/canaryproxy" in mounts) is (loaded.server.state == "/var/lib/canaryproxy/canaryproxy.db")
    assert loaded.server.admin is not None
    assert ("/run/secrets/canaryproxy" in mounts) is bool(loaded.server.admin.tokens)
    assert loaded.server.admin.listen.host == ("0.0.0.0" if loaded.server.admin.tokens else "127.0.0.1")


@pytest.mark.parametrize("name", OVERLAYS)
def test_liveness_depends_on_no_port_that_strangers_reach(name: str, tmp_path: Path) -> None:
    _, loaded = config(name, tmp_path)
    pod, mine = proxy(name), container(proxy(name))
    assert loaded.server.probes is not None
    assert loaded.server.probes.socket is not None
    assert loaded.server.probes.listen is not None
    port = loaded.server.probes.listen.port
    for name_of, what in (("livenessProbe", "live"), ("startupProbe", "ready")):  # both restart the container
        probe = mine[name_of]
        program, verb, *arguments = probe["exec"]["command"]
        assert (program, verb) == ("canaryproxy", "probe")
        question = read(arguments)
        assert question == Question(what, loaded.server.probes.socket, f"127.0.0.1:{port}")
        assert probe["timeoutSeconds"] > question.patience
    folder = str(Path(loaded.server.probes.socket).parent)
    volume = {mount["mountPath"]: mount["name"] for mount in mine["volumeMounts"]}[folder]
    assert {one["name"]: one for one in pod["volumes"]}[volume]["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_pod_is_given_the_time_to_drain(name: str, tmp_path: Path) -> None:
    _, loaded = config(name, tmp_path)
    assert proxy(name)["terminationGracePeriodSeconds"] > loaded.server.timeouts.drain + GRACE


@pytest.mark.parametrize("name", OVERLAYS)
def test_services_find_their_pods_and_ports(name: str) -> None:
    manifests = overlay(name)
    for service in of(manifests, "Service").values():
        selector = service["spec"]["selector"]
        found = [pod for pod in pods(manifests).values() if selector.items() <= pod["metadata"]["labels"].items()]
        assert len(found) == 1, service["metadata"]["name"]
        named = {port["name"] for one in found[0]["spec"]["containers"] for port in one.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_the_gateway_is_one_pod_with_a_volume_of_its_own() -> None:
    (deployment,) = of(overlay("gateway"), "Deployment").values()
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    claims = [
        v["persistentVolumeClaim"]["claimName"] for v in proxy("gateway")["volumes"] if "persistentVolumeClaim" in v
    ]
    assert claims == list(of(overlay("gateway"), "PersistentVolumeClaim"))


def test_the_policy_knows_every_port_and_guards_the_api() -> None:
    (policy,) = of(overlay("gateway"), "NetworkPolicy").values()
    rules = {rule["ports"][0]["port"]: rule for rule in policy["spec"]["ingress"]}
    assert set(rules) == {port["containerPort"] for port in container(proxy("gateway"))["ports"]}
    assert (
        policy["spec"]["podSelector"]["matchLabels"].items()
        <= pods(overlay("gateway"))["canaryproxy"]["metadata"]["labels"].items()
    )
    assert "from" in rules[9900]
    assert rules[9901]["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    assert "from" not in rules[8080]


def test_sidecars_of_several_pods_keep_nothing_and_take_their_weight_from_the_file(tmp_path: Path) -> None:
    text, loaded = config("sidecar-replicas", tmp_path)
    (deployment,) = of(overlay("sidecar-replicas"), "Deployment").values()
    assert deployment["spec"]["replicas"] > 1
    assert loaded.server.state == "memory"
    assert "weight:" in text
    assert loaded.routes["app"].stable.origins[0].host == "127.0.0.1"


def test_no_secret_is_in_the_repository() -> None:
    for name in OVERLAYS:
        assert not of(overlay(name), "Secret")
