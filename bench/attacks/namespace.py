"""A network namespace of its own: ports, TIME_WAIT and SYN queues of the floods concern no other process."""

import os
import subprocess
import sys
from pathlib import Path

from bench.processes import found, program

INSIDE = "CANARYPROXY_ATTACKS_INSIDE"
SYSCTLS = {
    "net/core/somaxconn": "4096",
    "net/ipv4/tcp_max_syn_backlog": "8192",
    "net/ipv4/ip_local_port_range": "32000 65535",
}


def enter() -> str:
    """Run this program again inside one. Returns what is set there; where there can be none, that."""
    if os.environ.get(INSIDE) != "1":
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = f'{found("ip") or "/sbin/ip"} link set lo up && exec "$@"'
        words = [program("unshare"), "--net", *rights, "sh", "-c", script, "sh"]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
            return "no network namespace of its own: that is not allowed here"
        os.environ[INSIDE] = "1"
        sys.stdout.flush()
        os.execv(words[0], [*words, sys.executable, "-m", "bench.attacks", *sys.argv[1:]])
    return ", ".join(f"{name.rpartition('/')[2]} {_set(name, value)}" for name, value in SYSCTLS.items())


def _set(name: str, value: str) -> str:
    path = Path("/proc/sys") / name
    try:
        path.write_text(value)
    except OSError:
        if not path.exists():
            return "not there"
        return f"{' '.join(path.read_text().split())} (not ours to set)"
    return value
