"""What proxies take while nobody asks for anything: memory and CPU, beside nginx and Envoy where they are there."""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load import wrk
from bench.processes import canaryproxy, cpu_seconds, family, free_port, nginx_origin, rss_bytes, running

MIB = 2**20
TYPES = "type.googleapis.com/envoy.extensions"
SECONDS = 10
WARM_CONNECTIONS = 64


@dataclass(frozen=True)
class Rest:
    """A proxy at rest: (what, bytes resident) of its processes, and milliseconds of CPU a second."""

    name: str
    processes: tuple[tuple[str, int], ...]
    cpu: float


def _canaryproxy(_: Path, listen: int, origin: int) -> list[str]:
    url = f"http://127.0.0.1:{origin}"
    return canaryproxy("--stable", url, "--canary", url, "--workers", "2", "--listen", f"127.0.0.1:{listen}")


def _nginx(folder: Path, listen: int, origin: int) -> list[str]:
    command = nginx_origin(folder, listen, "")
    config = Path(command[-1])
    proxied = config.read_text().replace('return 200 "";', f"proxy_pass http://127.0.0.1:{origin};")
    config.write_text(proxied.replace("worker_processes 1", "worker_processes 2"))
    return command


def envoy() -> str | None:
    """Envoy's program: in our environment (the `bench` extra), or anywhere else."""
    beside = Path(sys.executable).with_name("envoy")
    return str(beside) if beside.exists() else shutil.which("envoy")


def _envoy(folder: Path, listen: int, origin: int) -> list[str]:
    def address(port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "x"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": f"{TYPES}.filters.http.router.v3.Router"}}],
    }  # fmt: skip
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": address(origin)}}
    config = {"static_resources": {
        "listeners": [{"address": address(listen), "filter_chains": [chain]}],
        "clusters": [{"name": "x", "type": "STATIC", "load_assignment": {
            "cluster_name": "x", "endpoints": [{"lb_endpoints": [endpoint]}]}}],
    }}  # fmt: skip
    path = folder / "envoy.json"
    path.write_text(json.dumps(config))
    return [str(envoy()), "--concurrency", "2", "-l", "off", "--use-dynamic-base-id", "-c", str(path)]


PEERS: dict[str, Callable[[Path, int, int], list[str]]] = {
    "canaryproxy": _canaryproxy, "nginx": _nginx, "Envoy": _envoy,
}  # fmt: skip


def title(pid: int, name: str) -> str:
    """What a process calls itself, in a word or two."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return words.removeprefix(f"{name}: ").partition(" /")[0] if words.startswith(f"{name}: ") else name


def measure() -> list[Rest]:
    """Start each, ask it a few thousand things, leave it alone, and look."""
    found = []
    for name, command in PEERS.items():
        if name == "Envoy" and envoy() is None:
            continue
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rest-")))
            folder.chmod(0o755)
            origin, listen = free_port(), free_port()
            (folder / "o").mkdir(mode=0o755)
            stack.enter_context(running(nginx_origin(folder / "o", origin, "x"), port=origin))
            pid = stack.enter_context(running(command(folder, listen, origin), port=listen))
            wrk(listen, connections=WARM_CONNECTIONS, seconds=2, core=1)
            time.sleep(3)
            before = cpu_seconds(pid)
            time.sleep(SECONDS)
            cpu = (cpu_seconds(pid) - before) / SECONDS * 1000
            found.append(Rest(name, tuple((title(one, name), rss_bytes(one)) for one in family(pid)), cpu))
    return found


def page(rests: list[Rest]) -> str:
    """The section of RESULTS.md."""
    rows = "\n".join(
        f"| {rest.name} | {', '.join(f'{what} {size / MIB:.0f}' for what, size in rest.processes)} | "
        f"{sum(size for _, size in rest.processes) / MIB:.0f} | {rest.cpu:.1f} |"
        for rest in rests
    )
    return f"""## At rest

Two workers each, after two seconds of load on {WARM_CONNECTIONS} connections and three of quiet. Memory that processes
share counts in each of them.

| proxy | resident MiB of each process | sum | CPU at rest, ms a second |
|---|---|---|---|
{rows}
"""


if __name__ == "__main__":
    print(page(measure()))
