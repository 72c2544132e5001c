"""The real process as a gateway: rules, sticky browsers, TLS, WebSockets, log; with clients that are not ours."""

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bench.ports import free_port
from tests.e2e.test_process import origins, until
from tests.support.authority import Authority
from tests.support.process import ROOT, canaryproxy

__all__ = ["origins"]

AUTHORITY = Authority()


def curl(*arguments: str) -> str:
    done = subprocess.run(["curl", "-sS", "-m", "10", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def config(folder: Path, ports: dict[str, int], listen: int, extra: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    files = AUTHORITY.write(folder, "shop", "shop.test")
    AUTHORITY.write_ca(folder)
    path = folder / "gateway.yaml"
    path.write_text(f"""
server:
  listen: [{{address: "127.0.0.1:{listen}", tls: {{certs: [{{cert: {files.cert}, key: {files.key}}}]}}}}]
  access_log: {{path: {folder}/access.log}}
  admin: {{listen: "127.0.0.1:0"}}
  state: memory
stable: http://127.0.0.1:{ports["stable"]}
canary: http://127.0.0.1:{ports["canary"]}
{extra}
""")
    return path


@pytest.mark.needs("curl")
def test_testers_and_sticky_browsers_over_https_leave_their_lines_in_the_log(
    origins: dict[str, int], tmp_path: Path
) -> None:
    listen = free_port()
    extra = 'weight: 50\naffinity: cookie\nrules: [{name: testers, headers: {x-internal-tester: "true"}, to: canary}]'
    path = config(tmp_path, origins, listen, extra)
    with canaryproxy(tmp_path, str(path), port=listen) as proxy:
        assert f"https://127.0.0.1:{listen}" in proxy.banner
        url = [
            "--cacert",
            f"{tmp_path}/ca.crt",
            "--resolve",
            f"shop.test:{listen}:127.0.0.1",
            f"https://shop.test:{listen}/",
        ]
        assert curl("-H", "X-Internal-Tester: true", *url) == "canary"
        jar = ["-c", f"{tmp_path}/jar", "-b", f"{tmp_path}/jar"]
        assert len({curl(*jar, *url) for _ in range(6)}) == 1
        assert (tmp_path / "jar").read_text().count("canaryproxy") == 1
        assert {curl(*url) for _ in range(30)} == {"stable", "canary"}
        data = subprocess.run(
            [
                sys.executable,
                "-m",
                "canaryproxy",
                "explain",
                str(path),
                "--header",
                "x-internal-tester: true",
                "GET",
                "/",
            ],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        assert data.stdout.startswith("canary, because rule testers")
        log = tmp_path / "access.log"
        until(lambda: len(log.read_text().splitlines()) == 37)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        ruled = [(line["rule"], line["version"], line["scheme"]) for line in lines if "rule" in line]
        assert ruled == [("testers", "canary", "https")]
        assert {line["reason"] for line in lines if "rule" not in line} == {"affinity"}


def test_websockets_of_the_websockets_library_pass_and_survive_a_reload_and_new_certificates(tmp_path: Path) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            listen = free_port()
            path = config(tmp_path, {"stable": port, "canary": port}, listen)
            context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
            with canaryproxy(tmp_path, str(path), port=listen) as proxy:
                address = f"wss://shop.test:{listen}/"
                async with connect(address, host="127.0.0.1", ssl=context) as kept:
                    await kept.send("hello")
                    assert await kept.recv() == "hello"
                    before = serial(kept.transport)
                    config(tmp_path, {"stable": port, "canary": port}, listen, "weight: 100")
                    await asyncio.to_thread(until, lambda: "was applied" in proxy.log.read_text())
                    async with connect(address, host="127.0.0.1", ssl=context) as fresh:
                        assert serial(fresh.transport) != before
                        await fresh.send(b"x" * 300_000)
                        assert await fresh.recv() == b"x" * 300_000
                    await kept.send("still here")
                    assert await kept.recv() == "still here"
                    await kept.close()
                    assert kept.close_code == 1000

    asyncio.run(test())


def serial(transport: asyncio.BaseTransport) -> object:
    return transport.get_extra_info("peercert")["serialNumber"]


@pytest.mark.needs("curl")
def test_curl_speaks_a_websocket_handshake(tmp_path: Path) -> None:
    async def test() -> None:
        async def greet(connection: ServerConnection) -> None:
            await connection.send("welcome")
            connection.transport.close()

        async with serve(greet, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with canaryproxy(
                tmp_path,
                "--stable",
                f"http://127.0.0.1:{port}",
                "--canary",
                f"http://127.0.0.1:{port}",
                "--listen",
                "{listen}",
            ) as proxy:
                done = await asyncio.to_thread(
                    subprocess.run,
                    [
                        "curl",
                        "-sS",
                        "-m",
                        "5",
                        "-i",
                        "-N",
                        "-H",
                        "Connection: Upgrade",
                        "-H",
                        "Upgrade: websocket",
                        "-H",
                        "Sec-WebSocket-Version: 13",
                        "-H",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                        "--http1.1",
                        f"http://127.0.0.1:{proxy.port}/",
                    ],
                    capture_output=True,
                    check=False,
                )
        assert done.stdout.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in done.stdout
        assert b"\x81\x07welcome" in done.stdout

    asyncio.run(test())


def test_a_log_that_cannot_be_opened_ends_the_start_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        f"server: {{listen: '127.0.0.1:0', access_log: {{path: {tmp_path}/no/access.log}}}}\nstable: http://a\ncanary: http://b\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "canaryproxy", "run", str(path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.strip() == f"cannot write the access log {tmp_path}/no/access.log: No such file or directory"
