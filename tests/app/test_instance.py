"""The proxy as an object."""

import asyncio
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from canaryproxy.app import instance as instance_module
from canaryproxy.app.instance import Instance, LogSetupError, StorageUnavailableError, check_log, open_store
from canaryproxy.app.worker import runner
from canaryproxy.config import Config, from_flags, load
from canaryproxy.config.load import ServerFlags
from canaryproxy.config.schema.admin import AccessLogConfig
from canaryproxy.model.report import Delta
from canaryproxy.storage.memory import MemoryStore
from canaryproxy.storage.sqlite import SqliteStore
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


def test_an_instance_serves_reloads_by_itself_and_reports(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(instance_module, "WATCH_PERIOD_SECONDS", 0.02)
    path = tmp_path / "a.yaml"
    reports: list[Delta] = []

    async def test() -> None:
        origin = Origin()
        server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        write(path, port, 0)
        instance = Instance(load(path, {}), load=lambda: load(path, {}), path=path, report=reports.append)
        await instance.start()
        write(path, port, "x")
        await until("the config was not applied; generation 1 stays active", caplog)
        assert f"{path}:4:" in caplog.text
        write(path, port, 100)
        await until("the config was applied as generation 2", caplog)
        assert instance.plane.ledger.state["default"].weight == 10_000
        reader, writer = await asyncio.open_connection(*instance.addresses[0])
        writer.write(GET)
        assert (await reader.read()).endswith(b"ok")
        writer.close()
        path.unlink()
        await until("was deleted", caplog)
        path.write_text("server: {listen: '127.0.0.1:9'}\nstable: http://127.0.0.1:1\ncanary: http://127.0.0.1:1\n")
        await until("needs a restart", caplog)
        assert await instance.stop() == 0
        server.close()

    with runner() as running:
        running.run(test())
    assert sum(sum(cell.codes.values()) for report in reports for cell in report.cells) == 1


def test_a_certificate_that_ends_is_warned_of_at_the_start_after_a_reload_and_every_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_module, "WATCH_PERIOD_SECONDS", 0.02)
    path, authority = tmp_path / "a.yaml", trustme.CA()

    def write_pair(left: timedelta) -> None:
        leaf = authority.issue_cert("a.test", not_after=datetime.now(UTC) + left)
        (tmp_path / "key").write_bytes(leaf.private_key_pem.bytes())
        (tmp_path / "crt").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))

    async def test() -> None:
        write_pair(timedelta(days=5, hours=1))
        path.write_text(
            f"server: {{listen: [{{address: '127.0.0.1:0', tls: {{certs: [{{cert: {tmp_path}/crt, key: {tmp_path}/key}}]}}}}],"
            " admin: {listen: '127.0.0.1:0'}, state: memory, workers: 1}\nstable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\n"
        )
        instance = Instance(load(path, {}), load=lambda: load(path, {}), path=path)
        await instance.start()
        await until("in 5 days", caplog)
        write_pair(timedelta(days=-1))
        await until("expired on", caplog)
        assert instance.admin_address is not None
        shown = await said("127.0.0.1", instance.admin_address[1], b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        series = (
            'canaryproxy_certificate_expiry_timestamp_seconds{file="%s/crt",place="server.listen[0].tls.certs[0].cert"'
        )
        assert (series % tmp_path).encode() in shown
        caplog.clear()
        monkeypatch.setattr(instance_module, "DAY_SECONDS", 0.0)
        daily = asyncio.ensure_future(instance._expire())
        async with asyncio.timeout(PATIENCE):
            while caplog.text.count("expired on") < 2:
                await asyncio.sleep(0.01)
        daily.cancel()
        await instance.stop()

    with runner() as running:
        running.run(test())
    assert {record.levelname for record in caplog.records if "expired on" in record.message} == {"ERROR"}


async def said(source: str, port: int, head: bytes, body: bytes = b"") -> bytes:
    """The answer to a request that comes from this address of this machine."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(source, port, local_addr=(source, 0))
        writer.write(head + b"Connection: close\r\n\r\n" + body)
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_a_listener_for_both_families_names_a_client_by_its_ipv4_address(tmp_path: Path) -> None:
    """Trust, rules by source, X-Forwarded-For and the history compare what a client is known by."""
    path = tmp_path / "a.yaml"
    heads: list[bytes] = []

    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        path.write_text(
            f"""
server: {{listen: ":0", admin: {{listen: ":0", auth: none}}, state: memory, workers: 1, trusted_proxies: [127.0.0.2]}}
stable: http://127.0.0.1:1
canary: http://127.0.0.1:{server.sockets[0].getsockname()[1]}
rules:
  - {{name: here, sources: [127.0.0.0/8, 192.0.2.9], to: canary}}
  - {{name: there, sources: ["::1"], to: canary}}
"""
        )
        instance = Instance(load(path, {}), path=path)
        await instance.start()
        port = instance.addresses[0][1]
        assert instance.addresses[0][0] == "::"
        for source, more in (("127.0.0.1", b""), ("127.0.0.2", b"X-Forwarded-For: 192.0.2.9\r\n"), ("::1", b"")):
            assert (await said(source, port, b"GET / HTTP/1.1\r\nHost: a\r\n" + more)).startswith(b"HTTP/1.1 200")
        assert instance.admin_address is not None
        admin = instance.admin_address[1]
        change = b"PUT /api/v1/routes/default/weight HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        body = b'{"canary": 5}'
        assert b" 200 " in await said("127.0.0.1", admin, change + b"Content-Length: %d\r\n" % len(body), body)
        ready = await said("127.0.0.1", admin, b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert f"http://[::]:{port} (IPv4 and IPv6)".encode() in ready
        asked = b"GET /api/v1/routes/default/history?limit=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        (entry,) = json.loads((await said("127.0.0.1", admin, asked)).partition(b"\r\n\r\n")[2])["entries"]
        assert (entry["action"], entry["address"]) == ("weight", "127.0.0.1")
        await instance.stop()
        server.close()

    with runner() as running:
        running.run(test())
    found = [line for head in heads for line in head.split(b"\r\n") if line.lower().startswith(b"x-forwarded-for")]
    assert found == [
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-For: 192.0.2.9, 127.0.0.2",
        b"X-Forwarded-For: ::1",
    ]


async def test_a_look_that_fails_is_not_the_last_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_module, "JUDGE_PERIOD_SECONDS", 0.0)
    looks = 0
    done = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OverflowError("a mistake of ours")
        done.set()

    task = asyncio.create_task(instance_module.run_every_second(look))
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    task.cancel()
    assert caplog.text.count("rollout tick failed, retrying in 1 s") == 1


def test_an_access_log_goes_where_lines_may_be_appended(tmp_path: Path) -> None:
    reader = tmp_path / "pipe"
    os.mkfifo(reader)
    held = os.open(reader, os.O_RDONLY | os.O_NONBLOCK)
    for fit in ("-", str(tmp_path / "a.log"), str(reader), "/dev/null", "/dev/stdout"):
        check_log(AccessLogConfig(path=fit))
    os.close(held)
    with pytest.raises(LogSetupError, match="nothing reads"):
        check_log(AccessLogConfig(path=str(reader)))
    with pytest.raises(LogSetupError, match="directory"):
        check_log(AccessLogConfig(path=str(tmp_path)))


def test_an_access_log_is_not_written_onto_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stat.S_ISBLK", lambda _: True)
    (tmp_path / "a.log").write_text("kept")
    with pytest.raises(LogSetupError, match="a block device"):
        check_log(AccessLogConfig(path=str(tmp_path / "a.log")))
    assert (tmp_path / "a.log").read_text() == "kept"


def test_an_access_log_is_not_written_into_the_config_or_the_state(tmp_path: Path) -> None:
    state, link = tmp_path / "state.db", tmp_path / "link"
    link.symlink_to(state)
    with pytest.raises(LogSetupError, match="the config or the state"):
        check_log(AccessLogConfig(path=str(link)), tmp_path / "a.yaml", state)


def test_a_state_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        StorageUnavailableError, match=r"`state: /dev/null` cannot be used: /dev/null is a character device"
    ):
        open_store("/dev/null")
    assert isinstance(open_store("memory"), MemoryStore)
    assert isinstance(open_store(str(tmp_path / "a.db")), SqliteStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("written", "environ", "found"),
    [
        ("./a.db", {"STATE_DIRECTORY": "{folder}"}, "{folder}/a.db"),
        ("a.db", {"STATE_DIRECTORY": "{folder}:/elsewhere"}, "{folder}/a.db"),
        ("{folder}/b.db", {"STATE_DIRECTORY": "/elsewhere"}, "{folder}/b.db"),
        ("./a.db", {}, "a.db"),
    ],
)
def test_a_relative_state_counts_from_the_directory_for_state(
    written: str, environ: dict[str, str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {name: value.format(folder=folder) for name, value in environ.items()}
    store = open_store(written.format(folder=folder), given)
    store.save({})
    store.close()
    assert Path(found.format(folder=folder)).exists()
