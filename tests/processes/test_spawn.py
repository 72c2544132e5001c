"""The fork server as its client sees it."""

import asyncio
import mmap
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.processes import spawn as module
from canaryproxy.processes.listen import listen_on
from canaryproxy.processes.spawn import Handle, Processes
from tests.support.admin import until
from tests.support.cluster import run


def test_a_worker_is_forked_and_ends_with_its_link() -> None:
    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        processes.start()
        link = processes.spawn(born.append)
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
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)

    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 2)
        processes.start()
        link = processes.spawn(born.append)
        await until(lambda: bool(born))
        first = processes.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: processes.pid != first)
        second = processes.spawn(born.append)
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
        link = processes.spawn(born.append)
        await until(lambda: bool(born))
        os.kill(born[0].pid, signal.SIGSTOP)
        processes.abort()
        await until(lambda: _gone(born[0].pid))
        link.close()
        born[0].close()

    run(test())


@pytest.mark.parametrize("answer", [b"", b"\0", b"\0\0\0", bytes(4), b"\0\0\0\1", b"\0\0\0\x07more", b"\0\0\0\x07"])
def test_an_answer_that_is_none_ends_the_fork_server_and_gives_no_worker_a_strangers_process(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also an unexpected one: the last, which is a process id."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)

    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        processes.start()
        first = processes.pid
        real, (ours, theirs) = processes._control, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        processes._control = ours
        asyncio.get_running_loop().add_reader(ours, processes._answered)
        if len(answer) != 4 or answer < b"\0\0\0\x02":
            processes._births.append(born.append)
        read, write = os.pipe()
        if answer:
            socket.send_fds(theirs, [answer], [read])
        else:
            theirs.close()
        await until(lambda: processes._control is not ours)
        assert real is not None
        asyncio.get_running_loop().remove_reader(real)
        real.close()
        await until(lambda: processes.pid != first)
        assert not born
        for one in (read, write):
            os.close(one)
        theirs.close()
        link = processes.spawn(born.append)
        await until(lambda: bool(born))
        link.close()
        processes.abort()
        born[0].close()

    run(test())
    assert ("invalid answer of the fork server" in caplog.text) == bool(answer)


def test_the_memory_of_workers_keeps_its_size() -> None:
    memory = module.shared_memory(64, b"begun")
    try:
        with mmap.mmap(memory, 0) as shared:
            assert shared[:6] == b"begun\0"
            shared[0] = 7
            assert len(shared) == 64
        for size in (0, 63, 65):
            with pytest.raises(PermissionError):
                os.ftruncate(memory, size)
    finally:
        os.close(memory)


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_fork_server_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    real, failures = subprocess.Popen, iter([1, 2])

    def start(*arguments: Any, **more: Any) -> Any:
        if next(failures, None):
            raise OSError(12, "Cannot allocate memory")
        return real(*arguments, **more)

    async def test() -> None:
        born: list[Handle] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        processes.start()
        first = processes.pid
        assert first is not None
        monkeypatch.setattr(subprocess, "Popen", start)
        os.kill(first, signal.SIGKILL)
        await until(lambda: processes.pid != first)
        assert caplog.text.count("the fork server cannot be started: [Errno 12]") == 2
        link = processes.spawn(born.append)
        await until(lambda: bool(born))
        link.close()
        processes.abort()
        born[0].close()

    run(test())


def test_stopped_workers_end_with_a_supervisor_that_had_answers_waiting() -> None:
    """Then the control socket is reset, not closed."""

    async def test() -> None:
        sock = listen_on("127.0.0.1", 0)
        processes = Processes([sock], 2)
        processes.start()
        links = [processes.spawn(lambda _: None) for _ in range(2)]
        control = processes._control
        assert control is not None
        assert processes.pid is not None
        asyncio.get_running_loop().remove_reader(control)
        server = processes.pid
        await until(lambda: len(_children(server)) == 2)
        pids = _children(server)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        processes.abort()
        await until(lambda: all(map(_gone, pids)))
        for link in links:
            link.close()

    run(test())


def test_fork_servers_that_end_before_a_worker_comes_of_them_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "command", lambda *_: ["false"])

    async def test() -> None:
        said: list[str] = []
        processes = Processes([listen_on("127.0.0.1", 0)], 1)
        processes.start(said.append)
        await until(lambda: bool(said))
        processes.abort()
        assert "ends before a worker comes of it" in said[0]
        assert caplog.text.count("the fork server ended; restarting it") == module.MAX_FAILED_STARTS

    run(test())
