"""The fork server as its client sees it."""

import os
import signal
from pathlib import Path

import pytest

from canaryproxy.control import processes as module
from canaryproxy.control.listen import listen_on
from canaryproxy.control.processes import Handle, Processes
from tests.support.admin import until
from tests.support.world import run


def test_a_worker_is_forked_and_ends_with_its_link() -> None:
    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        assert "nobody" in repr(processes)
        processes.start()
        link = processes.launch(born.append)
        await until(lambda: bool(born))
        assert processes.pid is not None
        assert os.getsid(born[0].pid) == os.getsid(0)
        assert os.getpgid(born[0].pid) == os.getpgid(0)
        link.close()
        await until(lambda: _gone(born[0].pid))
        born[0].kill()
        born[0].close()
        processes.abort()

    run(test())


def test_workers_outlive_a_fork_server_that_dies_and_another_one_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.01)

    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 2)
        processes.start()
        link = processes.launch(born.append)
        await until(lambda: bool(born))
        first = processes.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: processes.pid != first)
        second = processes.launch(born.append)
        await until(lambda: len(born) == 2)
        assert not _gone(born[0].pid)
        for one in (link, second):
            one.close()
        processes.abort()
        for handle in born:
            handle.close()

    run(test())


def test_workers_die_with_the_supervisors_end_of_the_control_socket() -> None:
    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        processes.start()
        link = processes.launch(born.append)
        await until(lambda: bool(born))
        os.kill(born[0].pid, signal.SIGSTOP)
        processes.abort()
        await until(lambda: _gone(born[0].pid))
        link.close()
        born[0].close()

    run(test())


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
