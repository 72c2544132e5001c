"""What the documentation shows of Kubernetes: its pods are restricted, its names are those of the manifests."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.test_kubernetes import K8S, OVERLAYS, built, of, overlay
from tests.support.process import ROOT
from tests.support.restricted import pods, violations

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"```ya?ml\n(.*?)```", re.DOTALL)

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "app", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "state", "emptyDir": {}}],
}


@cache
def documents(page: Path) -> tuple[Any, ...]:
    """Every YAML document in a page that is a manifest."""
    texts = BLOCK.findall(page.read_text("utf-8"))
    found = [one for text in texts for one in yaml.safe_load_all(text)]
    return tuple(one for one in found if isinstance(one, dict) and "apiVersion" in one)


def _set(path: str, value: Any) -> dict[str, Any]:
    spec: dict[str, Any] = copy.deepcopy(GOOD)
    place: Any = spec
    *way, last = path.split(".")
    for part in way:
        place = place[int(part) if part.isdigit() else part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("hostPID", True, "hostPID"),
        ("volumes", [{"name": "root", "hostPath": {"path": "/"}}], "volume root is a hostPath"),
        ("securityContext.runAsNonRoot", None, "app: runAsNonRoot is not true"),
        ("securityContext.runAsUser", 0, "the pod: runAsUser is 0"),
        ("securityContext.seccompProfile", None, "app: no seccompProfile"),
        ("securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile is Unconfined"),
        ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl kernel.msgmax"),
        ("containers.0.securityContext", None, "allowPrivilegeEscalation is not false"),
        ("containers.0.securityContext.runAsNonRoot", False, "app: runAsNonRoot is false"),
        ("containers.0.securityContext.privileged", True, "privileged"),
        ("containers.0.securityContext.capabilities", {"drop": ["NET_RAW"]}, "capabilities are not dropped"),
        ("containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities are added"),
        ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "hostPort 80"),
        ("containers.0.livenessProbe", {"httpGet": {"host": "10.0.0.1"}}, "livenessProbe asks another host"),
        ("initContainers", [{"name": "first"}], "first: allowPrivilegeEscalation is not false"),
    ],
)  # fmt: skip
def test_a_pod_that_is_not_restricted_is_found(path: str, value: Any, words: str) -> None:
    assert violations(GOOD) == []
    assert any(words in one for one in violations(_set(path, value)))


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_of_the_manifests_is_restricted(name: str) -> None:
    specs = [spec for one in overlay(name) for spec in pods(one)]
    assert specs
    assert [violations(spec) for spec in specs] == [[]] * len(specs)


def test_no_overlay_is_left_out() -> None:
    assert {path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml")} == set(OVERLAYS)


def test_every_pod_of_the_documentation_is_restricted() -> None:
    found = [(page.name, spec) for page in PAGES for one in documents(page) for spec in pods(one)]
    assert [name for name, _ in found] == ["ci-and-gitops.md"]
    for name, spec in found:
        assert violations(spec) == [], name
        assert spec["automountServiceAccountToken"] is False
        assert all("memory" in one["resources"]["limits"] for one in spec["containers"])


def _secrets(document: Any) -> set[tuple[str, str]]:
    if isinstance(document, list):
        return {pair for one in document for pair in _secrets(one)}
    if not isinstance(document, dict):
        return set()
    reference = document.get("secretKeyRef")
    mine = {(reference["name"], reference["key"])} if reference else set()
    return mine.union(*(_secrets(value) for value in document.values()))


@pytest.mark.needs("kubectl")
def test_services_secrets_deployments_and_routes_are_those_of_the_manifests() -> None:
    made = {**of(overlay("demo"), "Service"), **of(overlay("gateway"), "Service")}
    ports = {name: {port["port"] for port in one["spec"]["ports"]} for name, one in made.items()}
    deployments = of(overlay("demo"), "Deployment")
    routes = yaml.safe_load(of(built("base"), "ConfigMap")["canaryproxy"]["data"]["canaryproxy.yaml"])["routes"]
    volumes = of(overlay("gateway"), "Deployment")["canaryproxy"]["spec"]["template"]["spec"]["volumes"]
    secrets = {one["secret"]["secretName"] for one in volumes if "secret" in one}
    for page in (ROOT / "docs" / "howto" / "ci-and-gitops.md", ROOT / "docs" / "howto" / "argo-flagger.md"):
        text = page.read_text("utf-8")
        called = re.findall(r"http://(canaryproxy[a-z-]*)(?:\.[a-z.]+)?:(\d+)", text)
        assert called
        assert all(int(port) in ports[name] for name, port in called), called
        assert {name for one in documents(page) for name, _ in _secrets(one)} <= secrets
        assert {key for one in documents(page) for _, key in _secrets(one)} <= {"token"}
        assert set(re.findall(r"/api/v1/routes/([a-z]+)", text)) <= set(routes)
    text = (ROOT / "docs" / "howto" / "ci-and-gitops.md").read_text("utf-8")
    verbs = r"canaryproxy (?:start|status|reset|report|retry|abort|promote|resume|pause) ([a-z]+)"
    assert set(re.findall(verbs, text)) == set(routes) == {"app"}
    named = set(re.findall(r"deployment/([a-z-]+)", text))
    assert named == {"app-canary", "app-stable"} <= set(deployments)
    for name in named:
        containers = deployments[name]["spec"]["template"]["spec"]["containers"]
        assert [one["name"] for one in containers] == re.findall(rf"deployment/{name} ([a-z]+)=", text)
    assert set(re.findall(r"http://(app-[a-z]+):8080", text)) <= set(made)


@pytest.mark.needs("kubectl")
def test_a_pod_that_talks_to_the_api_has_the_label_that_lets_it() -> None:
    (policy,) = of(overlay("gateway"), "NetworkPolicy").values()
    (rule,) = (one for one in policy["spec"]["ingress"] if one["ports"] == [{"port": 9900}])
    (allowed,) = (peer["podSelector"]["matchLabels"] for peer in rule["from"])
    for page in PAGES:
        for one in documents(page):
            if "canaryproxy-admin:9900" in str(one) and one["kind"] == "Job":
                assert allowed.items() <= one["spec"]["template"]["metadata"]["labels"].items()
