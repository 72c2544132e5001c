"""The Pod Security Standard `restricted`, and with it `baseline`, as rules over a pod's spec
(https://kubernetes.io/docs/concepts/security/pod-security-standards/).
"""

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]

VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
)
SECCOMP = ("RuntimeDefault", "Localhost")
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
))  # fmt: skip


def pods(document: Any) -> Iterator[Spec]:
    """The spec of every pod that a manifest makes, however deep it stands."""
    if not isinstance(document, dict):
        return
    if isinstance(document.get("containers"), list):
        yield document
    for name, value in document.items():
        if name != "containers":
            for one in value if isinstance(value, list) else [value]:
                yield from pods(one)


def violations(spec: Spec) -> list[str]:
    """What `restricted` has against a pod."""
    own = spec.get("securityContext") or {}
    found = [f"{name} is true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes", []):
        kinds = volume.keys() - {"name"}
        if kinds - VOLUMES:
            found.append(f"volume {volume['name']} is a {', '.join(sorted(kinds))}")
    unsafe = {one["name"] for one in own.get("sysctls", [])} - SYSCTLS
    found += [f"sysctl {name}" for name in sorted(unsafe)]
    found += [f"the pod: {one}" for one in _identity(own)]
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or []:
            found += [f"{container['name']}: {one}" for one in _container(container, own)]
    return found


def _identity(context: Spec) -> Iterator[str]:
    """What holds for a pod as for a container."""
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    seccomp = context.get("seccompProfile")
    if seccomp is not None and seccomp.get("type") not in SECCOMP:
        yield f"seccompProfile is {seccomp.get('type')}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "appArmorProfile is Unconfined"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess is true"


def _container(container: Spec, pod: Spec) -> Iterator[str]:
    mine = container.get("securityContext") or {}
    yield from _identity(mine)
    if mine.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if not (mine.get("seccompProfile") or pod.get("seccompProfile")):
        yield "no seccompProfile"
    if mine.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if mine.get("privileged"):
        yield "privileged is true"
    if mine.get("procMount", "Default") != "Default":
        yield f"procMount is {mine['procMount']}"
    capabilities = mine.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities are not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']}"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for how in ("httpGet", "tcpSocket"):
            if ((container.get(probe) or {}).get(how) or {}).get("host"):
                yield f"{probe} asks another host"
