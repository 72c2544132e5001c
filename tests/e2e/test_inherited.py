"""What a worker holds that a stranger who took it over could use: its link, the sockets it serves, what it shares."""

import contextlib
import os
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.e2e.test_process import processes_below, until
from tests.support.process import canaryproxy

CONFIG = """
server:
  listen: "127.0.0.1:{port}"
  admin: {{listen: "127.0.0.1:{admin}"}}
  probes: {{listen: "127.0.0.1:{probes}"}}
  state: {folder}/state.db
  access_log: {{path: "{folder}/access.log"}}
  workers: 3
stable: http://127.0.0.1:1
canary: http://127.0.0.1:2
"""


def descriptors(pid: int) -> dict[int, str]:
    """What a process has open, by number."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(entry.name)] = str(entry.readlink())
    return found


def workers_of(pid: int) -> list[int]:
    return [one for one, title in processes_below(pid).items() if ": worker " in title]


def sockets(pid: int) -> set[str]:
    return {one for one in descriptors(pid).values() if one.startswith("socket:")}


def listening(pid: int, port: int) -> str:
    """The socket of a port, as descriptors name it."""
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return f"socket:[{fields[9]}]"
    raise AssertionError(f"nothing listens on {port}")


def test_a_worker_holds_nothing_that_leads_to_the_supervisor_or_to_other_workers(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("port", "admin", "probes")}
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, **ports))
    with canaryproxy(tmp_path, str(config), port=ports["port"]) as proxy:
        supervisor = proxy.process.pid
        until(lambda: len(workers_of(supervisor)) == 3)
        workers = workers_of(supervisor)
        (server,) = [pid for pid, title in processes_below(supervisor).items() if title.endswith(": fork server")]
        served = listening(supervisor, ports["port"])
        aside = {listening(supervisor, ports["admin"]), listening(supervisor, ports["probes"])}
        for pid in workers:
            mine = sockets(pid)
            assert served in mine
            assert not mine & aside
            assert mine & sockets(supervisor) == {served}
            assert mine & sockets(server) == {served}
            for other in workers:
                assert other == pid or mine & sockets(other) == {served}
            files = {one for number, one in descriptors(pid).items() if one.startswith("/") and number > 2}
            assert files <= {
                "/dev/null",
                "/memfd:canaryproxy (deleted)",
                "/memfd:canaryproxy",
                str(tmp_path / "access.log"),
            }
            kinds = {one.partition(":")[0] for one in descriptors(pid).values() if not one.startswith("/")}
            assert kinds <= {"socket", "pipe", "anon_inode"}
            assert not [one for one in descriptors(pid).values() if "pidfd" in one]
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert "state.db" not in maps


def test_memory_that_workers_share_cannot_be_taken_from_under_them(tmp_path: Path) -> None:
    """Were it shorter, the next look at it would end the process that looks."""
    port = free_port()
    with canaryproxy(
        tmp_path, "--stable", "http://127.0.0.1:1", "--canary", "http://127.0.0.1:2", "--listen", "{listen}", port=port
    ) as proxy:
        until(lambda: bool(workers_of(proxy.process.pid)))
        worker = workers_of(proxy.process.pid)[0]
        (number,) = [number for number, one in descriptors(worker).items() if one.startswith("/memfd:canaryproxy")]
        memory = os.open(f"/proc/{worker}/fd/{number}", os.O_RDWR)
        try:
            for size in (0, 1, 2**20):
                with pytest.raises(PermissionError):
                    os.ftruncate(memory, size)
        finally:
            os.close(memory)
