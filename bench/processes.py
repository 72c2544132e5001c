"""Programs that a benchmark starts: on loopback, pinned to a core, ended by process id."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PROCESS_CLOCK = 2
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def found(name: str) -> str | None:
    """The path of an external program, if it exists: in this environment, else on the machine."""
    return shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), SEARCH_PATH)))


def program(name: str) -> str:
    """The path of an external program. Ends the run with a hint if it is missing."""
    path = found(name)
    if path is None:
        sys.exit(f"{name} is missing; on Debian and Ubuntu: apt-get install {name}")
    return path


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    core: int | str | None = None,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Start a command, wait until it listens on `port`, yield its id, end it. `core`: a list as of taskset."""
    pinned = command if core is None else [program("taskset"), "-c", str(core), *command]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("w")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            pinned, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        try:
            wait_for(port, process)
            yield process.pid
        finally:
            end(process)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when `port` accepts. Raises `RuntimeError` when the process ends first or takes 15 s."""
    for _ in range(150):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


def end(process: "subprocess.Popen[bytes]") -> int:
    """Send SIGTERM, and SIGKILL after 10 s; returns the exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grand for child in children for grand in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children."""
    return sum(map(process_seconds, family(pid)))


def process_seconds(pid: int) -> float:
    """User and system time of one process in seconds, from its CPU clock.

    The clock id is derived from the process id as in clock_getcpuclockid(3).
    """
    return time.clock_gettime_ns((~pid << 3) | PROCESS_CLOCK) / 1e9


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


def nginx_origin(folder: Path, port: int, body: str, *, log: Path | None = None) -> list[str]:
    """The command of an nginx that answers each request with `body`, and logs it to `log`."""
    access = f"access_log {log} short" if log else "access_log off"
    config = folder / f"origin-{port}.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/origin-{port}.pid; error_log {folder}/origin-{port}.err warn;
events {{ worker_connections 2048; }}
http {{
  log_format short '$request_method $uri'; {access}; keepalive_requests 100000000;
  client_body_temp_path {folder}/body-{port}; proxy_temp_path {folder}/proxy-{port};
  fastcgi_temp_path {folder}/f-{port}; uwsgi_temp_path {folder}/u-{port}; scgi_temp_path {folder}/s-{port};
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{body}"; }} }}
}}
"""
    )
    return [program("nginx"), "-e", f"{folder}/origin-{port}.err", "-c", str(config)]


def canaryproxy(*arguments: str) -> list[str]:
    """The command of this checkout's proxy, with the present interpreter."""
    aside = ["--admin-listen", "127.0.0.1:0", "--state", "memory"] if "--stable" in arguments else []
    return [sys.executable, "-m", "canaryproxy", "run", *aside, *arguments]
