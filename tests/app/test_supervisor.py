"""The composition root in one process; the whole process is tested in e2e."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from pathlib import Path

import pytest

from canaryproxy import MODE, __version__
from canaryproxy.app import supervisor
from canaryproxy.app.instance import Instance
from canaryproxy.app.supervisor import banner, notify, percent, serve
from canaryproxy.app.worker import runner
from canaryproxy.config import Config, from_flags, load
from canaryproxy.config.load import ServerFlags
from canaryproxy.processes.listen import ListenError
from tests.support.cluster import GET, PATIENCE, Origin

ASIDE = ServerFlags(admin_listen="127.0.0.1:0", state="memory", workers="1")


def config(weight: str = "1", listen: str = "127.0.0.1:0") -> Config:
    return from_flags("http://127.0.0.1:1", "http://127.0.0.1:2", weight, listen, ASIDE)


def write(path: Path, port: int, weight: object) -> None:
    path.write_text(
        f"server: {{listen: '127.0.0.1:0', admin: off, state: memory, workers: 2}}\nstable: http://127.0.0.1:1\ncanary: http://127.0.0.1:{port}\nweight: {weight}\n"
    )


async def until(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until something was logged."""
    async with asyncio.timeout(PATIENCE):
        while text not in caplog.text:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("points", "text"), [(0, "0"), (25, "0.25"), (100, "1"), (10_000, "100")])
def test_weights_are_shown_as_written(points: int, text: str) -> None:
    assert percent(points) == text


def test_the_banner_says_what_listens_where_in_one_line() -> None:
    line = banner(config(), (("127.0.0.1", 8080),))
    assert "http://127.0.0.1:8080 -> route default: stable http://127.0.0.1:1, canary http://127.0.0.1:2 at 1 %" in line
    assert "\n" not in line
    assert line.startswith(f"canaryproxy {__version__} ({MODE}): http")


def test_the_banner_says_which_families_come_in() -> None:
    both = banner(config(listen=":8080"), (("::", 8080),))
    assert "http://[::]:8080 (IPv4 and IPv6) -> route" in both
    assert "http://[::]:8080 (IPv6) -> route" in banner(config(listen="[::]:8080"), (("::", 8080),))
    assert "http://0.0.0.0:8080 -> route" in banner(config(listen=":8080"), (("0.0.0.0", 8080),))


def test_the_banner_counts_several_routes(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "routes:\n  a: {hosts: [a], stable: http://a, canary: http://b}\n  b: {hosts: [b], stable: http://a, canary: http://b}\n"
    )
    assert "-> 2 routes (a, b)" in banner(load(path, {}), ())


def test_the_banner_has_the_weight_in_force_not_that_of_the_file(tmp_path: Path) -> None:
    force = {"default": "50 % (rollout: paused, manual, step 4 of 5)"}
    assert "at 50 % (rollout: paused, manual, step 4 of 5), admin" in banner(config(), (), ("127.0.0.1", 1), force)
    path = tmp_path / "a.yaml"
    path.write_text(
        "routes:\n  a: {hosts: [a], stable: http://a, canary: http://b, weight: 5}\n"
        "  b: {hosts: [b], stable: http://a, canary: http://b}\n"
    )
    shares = {"a": "5 %", "b": "20 % (by the API)"}
    assert "-> 2 routes (a, b: canary at 20 % (by the API))" in banner(load(path, {}), (), None, shares)


async def _signalled(numbers: list[int], caplog: pytest.LogCaptureFixture, *, busy: bool) -> int:
    origin = Origin()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    origin.behaviour = silent
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    instance = Instance(from_flags(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", None, "127.0.0.1:0", ASIDE))
    announced = asyncio.Event()
    serving = asyncio.get_running_loop().create_task(serve(instance, announced.set))
    await announced.wait()
    reader, writer = await asyncio.open_connection(*instance.addresses[0])
    if busy:
        writer.write(GET)
        while not origin.connections:
            await asyncio.sleep(0.01)
    for number in numbers:
        os.kill(os.getpid(), number)
        if number != signal.SIGHUP:
            await until("draining", caplog)
    code = await serving
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    server.close()
    await asyncio.sleep(0.02)
    return code


@pytest.mark.parametrize(
    ("numbers", "busy", "code"),
    [
        ([signal.SIGHUP, signal.SIGTERM], False, 0),
        ([signal.SIGINT], False, 0),
        ([signal.SIGTERM, signal.SIGTERM], True, 143),
        ([signal.SIGINT, signal.SIGINT], True, 130),
    ],
)
def test_signals_drain_and_a_second_one_ends_at_once(
    numbers: list[int], busy: bool, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with runner() as running:
        assert running.run(_signalled(numbers, caplog, busy=busy)) == code


def test_what_outlasts_the_drain_is_reported(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut(_: Instance) -> int:
        await Instance.abort(_)
        return 3

    monkeypatch.setattr(Instance, "stop", cut)
    caplog.set_level(logging.INFO)
    with runner() as running:
        assert running.run(_signalled([signal.SIGTERM], caplog, busy=False)) == 0
    assert "3 exchanges outlasted the drain" in caplog.text


def test_an_address_that_cannot_be_listened_on_ends_the_start() -> None:
    with pytest.raises(ListenError):
        supervisor.run(config(listen="192.0.2.1:1"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_ends_it(number: int) -> None:
    """Even if the start would never end."""

    async def never(_: str) -> tuple[str, ...]:
        await asyncio.sleep(3600)
        return ()

    async def test() -> int:
        instance = Instance(from_flags("http://a", "http://b", None, "127.0.0.1:0", ASIDE), lookup=never)
        serving = asyncio.get_running_loop().create_task(serve(instance, lambda: None))
        async with asyncio.timeout(PATIENCE):
            while instance.admin_address is None:
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)
        async with asyncio.timeout(PATIENCE):
            return await serving

    with runner() as running:
        assert running.run(test()) == 128 + number


def test_a_start_that_fails_leaves_nothing_open() -> None:
    async def broken(_: str) -> tuple[str, ...]:
        raise RuntimeError("no resolver")

    async def test() -> None:
        instance = Instance(from_flags("http://a", "http://b", None, "127.0.0.1:0", ASIDE), lookup=broken)
        with pytest.raises(RuntimeError, match="no resolver"):
            await serve(instance, lambda: None)
        for address in (*instance.addresses, instance.admin_address):
            assert address is not None
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)

    with runner() as running:
        running.run(test())


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_notified(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"canaryproxy-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        manager.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
    notify("STOPPING=1")
