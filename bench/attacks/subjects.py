"""What is attacked: canaryproxy of the base and of this checkout as shipped for Kubernetes, nginx and HAProxy."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
import yaml

from bench.attacks.cgroups import Group
from bench.attacks.watch import Plan
from bench.ports import free_port
from bench.processes import end, family, program, rss_bytes, wait_for

TOKEN = "prove-attacks-0123456789abcdef"
PLACES = 10_000
"""Connections that nginx and HAProxy may have, as canaryproxy's own default."""

PORTS = ("listen", "tls", "admin", "probes")
PROBES = "probes.sock"
LEAVE = 1.0
"""Seconds to end in: nothing of it is kept, and draining takes longer."""

UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 1000, "M": 10**6, "G": 10**9, "": 1}


@dataclass(frozen=True, slots=True)
class Build:
    """A canaryproxy: its interpreter, and the checkout that its manifests come from."""

    name: str
    python: Path
    root: Path


@dataclass
class Place:
    """Where a subject is set up: its folder and ports."""

    folder: Path
    origin: int
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


def memory_limit(root: Path) -> int:
    """Bytes of `limits.memory` in the shipped Deployment."""
    found = yaml.safe_load((root / "k8s/base/deployment.yaml").read_text())
    text = str(found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])
    number = text.rstrip("KMGik")
    return int(float(number) * UNITS[text[len(number) :]])


def shipped(root: Path, place: Place) -> dict[str, Any]:
    """The shipped config on loopback ports of ours, with a TLS listener beside the plain one."""
    config: dict[str, Any] = yaml.safe_load((root / "k8s/base/canaryproxy.yaml").read_text())
    at = {name: f"127.0.0.1:{port}" for name, port in place.ports.items()}
    server = config["server"]
    token = place.write("token", TOKEN)
    token.chmod(0o600)
    certificate = {"cert": str(place.folder / "chain.pem"), "key": str(place.folder / "key.pem")}
    server["listen"] = [{"address": at["listen"]}, {"address": at["tls"], "tls": {"certs": [certificate]}}]
    server["admin"]["listen"] = at["admin"]
    server["admin"]["tokens"][0]["token_file"] = str(token)
    server["probes"]["listen"] = at["probes"]
    if "socket" in server["probes"]:
        server["probes"]["socket"] = str(place.folder / PROBES)
    server["state"] = str(place.folder / "canaryproxy.db")
    for version in ("stable", "canary"):
        config["routes"]["app"][version]["url"] = f"http://127.0.0.1:{place.origin}"
    return config


class Subject:
    """One that runs. `family` reads what its processes are."""

    def __init__(self, name: str, place: Place, process: "subprocess.Popen[bytes]", group: Group | None) -> None:
        self.name, self.place, self.process, self.group = name, place, process, group

    @property
    def ours(self) -> bool:
        return self.name not in PEERS

    def resident(self) -> int:
        """Bytes resident, of all processes."""
        total = 0
        for pid in self._family():
            with contextlib.suppress(OSError, RuntimeError):
                total += rss_bytes(pid)
        return total

    def _family(self) -> list[int]:
        try:
            return family(self.process.pid)
        except OSError:
            return []

    def workers(self) -> list[int]:
        """Workers of canaryproxy."""
        found = []
        for pid in self._family():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"canaryproxy: worker"):
                    found.append(pid)
        return sorted(found)

    def compiled(self) -> bool:
        """Do all workers run compiled code of the package?"""
        workers = self.workers()
        return bool(workers) and all(
            any("/canaryproxy/" in line and line.endswith(".so") for line in maps(pid)) for pid in workers
        )

    def plans(self, *, tls: bool) -> dict[str, Plan]:
        """What watchers ask of it."""
        ports = self.place.ports
        front = ports["tls" if tls else "listen"]
        get = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: watch\r\nAccept: */*\r\n{}\r\n"
        close = "Connection: close\r\n"
        found = {
            "bystander": Plan(front, (get.format("/", ""),), 0.02, 5, stays=True, tls=tls),
            "newcomer": Plan(front, (get.format("/", close),), 0.25, 2, tls=tls),
            "health": Plan(ports["probes"], (get.format("/healthz", close),), 0.1, 3),
            "wakeup": Plan(0, (), 0.005, 0),
        }
        if self.ours:
            socket = self.place.folder / PROBES
            if socket.is_socket():
                request = get.format("/healthz", close)
                found["liveness"] = Plan(0, (request,), 0.1, 3, path=str(socket))
            found["weight"] = Plan(ports["admin"], tuple(map(weigh, (10, 20))), 0.1, 10)
        return found


def maps(pid: int) -> list[str]:
    """Files that a process has mapped."""
    try:
        return Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return []


def weigh(percent: int) -> str:
    """The request that changes the weight, as an operator's tool sends it."""
    body = f'{{"canary": {percent}}}'
    return (
        "PUT /api/v1/routes/app/weight HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )


def nginx(place: Place) -> list[str]:
    """One worker with as many places as canaryproxy; every time limit is nginx's default."""
    folder, ports = place.folder, place.ports
    config = place.write(
        "nginx.conf",
        f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err crit;
events {{ worker_connections {PLACES}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; proxy_max_temp_file_size 0;
  upstream app {{ server 127.0.0.1:{place.origin}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{ports["listen"]}; listen 127.0.0.1:{ports["tls"]} ssl;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
  server {{
    listen 127.0.0.1:{ports["probes"]}; listen 127.0.0.1:{ports["admin"]};
    location = /healthz {{ return 200 ok; }} location = /metrics {{ stub_status; }}
  }}
}}
""",
    )
    return [program("nginx"), "-e", f"{folder}/nginx.err", "-c", str(config)]


def haproxy(place: Place) -> list[str]:
    """One thread with as many places; the time limits are those of Debian's haproxy.cfg (HAProxy itself has none)."""
    folder, ports = place.folder, place.ports
    config = place.write(
        "haproxy.cfg",
        f"""global
  nbthread 1
  maxconn {PLACES}
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend in
  bind 127.0.0.1:{ports["listen"]}
  bind 127.0.0.1:{ports["tls"]} ssl crt {folder}/both.pem
  default_backend app
frontend aside
  bind 127.0.0.1:{ports["probes"]}
  bind 127.0.0.1:{ports["admin"]}
  monitor-uri /healthz
  http-request use-service prometheus-exporter if {{ path /metrics }}
backend app
  server app 127.0.0.1:{place.origin}
""",
    )
    return [program("haproxy"), "-db", "-q", "-f", str(config)]


PEERS = {"nginx": nginx, "HAProxy": haproxy}


@contextlib.contextmanager
def running(build: Build | str, origin: int, *, core: int, group: Group | None) -> Iterator[Subject]:
    """Start a build or a peer in an empty folder, in its cgroup, on its core; end it."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        place = Place(folder, origin)
        certify(folder)
        if isinstance(build, str):
            name, words = build, PEERS[build](place)
        else:
            name = build.name
            config = place.write("canaryproxy.yaml", yaml.safe_dump(shipped(build.root, place)))
            words = [str(build.python), "-P", "-m", "canaryproxy", "run", str(config)]
        empty = folder / "empty"
        empty.mkdir()
        join = f"echo $$ > {group.door}; " if group else ""
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", f'{join}exec "$@"', "sh", program("taskset"), "-c", str(core), *words],
                cwd=empty, stdout=log, stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CANARYPROXY_PLAIN")},
            )  # fmt: skip
        try:
            try:
                for port in place.ports.values():
                    wait_for(port, process)
            except RuntimeError as error:
                sys.exit(f"{name}: {error}\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(1)
            yield Subject(name, place, process, group)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LEAVE)
            with contextlib.suppress(OSError):  # what outlived its parent: the session is its own
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def origin(folder: Path, core: int) -> Iterator[int]:
    """An nginx with a short answer, and one of 10 MiB."""
    port = free_port()
    (folder / "big").write_bytes(bytes(10 << 20))
    config = folder / "origin.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/origin.pid; error_log {folder}/origin.err crit;
events {{ worker_connections 19000; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {folder};
    location = / {{ return 200 "answer"; }} location = /big {{ }}
  }}
}}
"""
    )
    words = [program("taskset"), "-c", str(core), program("nginx"), "-e", f"{folder}/origin.err", "-c", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield port
    finally:
        end(process)


def certify(folder: Path) -> None:
    """A certificate for the shop."""
    issued = trustme.CA().issue_cert("shop.example.com")
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (folder / "both.pem").write_bytes(issued.private_key_pem.bytes() + chain)
