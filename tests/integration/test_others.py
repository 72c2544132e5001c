"""Servers and clients we did not write: nginx, aiohttp, http.server, curl. H numbers: docs/http.md."""

import asyncio
import functools
import http.server
import subprocess
import threading
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.cluster import run, running_cluster
from tests.support.nginx import nginx

BIG = bytes(range(256)) * 8192


async def curl(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run curl, bounded in time."""
    return await asyncio.to_thread(
        subprocess.run, ["curl", "-sS", "-m", "10", *arguments], capture_output=True, check=False
    )


@pytest.mark.needs("nginx", "curl")
def test_curl_through_to_nginx(tmp_path: Path) -> None:
    """H31."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "big").write_bytes(BIG)

    async def test(port: int) -> None:
        async with running_cluster(stable_port=port) as w:
            base = f"http://127.0.0.1:{w.port}"
            assert (await curl(base + "/")).stdout == b"stable-nginx\n"
            assert (await curl("--http1.0", base + "/")).stdout == b"stable-nginx\n"
            assert b"X-Name: stable-nginx" in (await curl("-I", base + "/")).stdout
            assert (await curl(base + "/files/big")).stdout == BIG
            assert (await curl("-r", "10-19", base + "/files/big")).stdout == BIG[10:20]
            assert b"405" in (await curl("-i", "-X", "TRACE", base + "/")).stdout
            missing = await curl("-o", "/dev/null", "-w", "%{http_code}", base + "/files/none")
            assert missing.stdout == b"404"
            w.collect()
            assert w.codes == {200: 4, 206: 1, 404: 1}

    with nginx(tmp_path, "stable-nginx") as port:
        run(test(port), 40)


@pytest.mark.needs("nginx")
def test_an_nginx_that_closes_connections_after_a_few_requests_costs_no_one_an_error(tmp_path: Path) -> None:
    """H43."""

    async def test(port: int) -> None:
        async with running_cluster(stable_port=port) as w, aiohttp.ClientSession() as session:

            async def visits() -> None:
                for _ in range(100):
                    async with session.get(f"http://127.0.0.1:{w.port}/") as response:
                        assert (response.status, await response.read()) == (200, b"few\n")

            await asyncio.gather(*(visits() for _ in range(8)))

    with nginx(tmp_path, "few", requests=3) as port:
        run(test(port), 40)


@pytest.mark.needs("curl")
def test_uploads_and_expectations_of_curl_reach_an_aiohttp_app(tmp_path: Path) -> None:
    """H36."""

    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        return web.json_response(
            {"size": len(body), "same": body == BIG, "chunked": "Transfer-Encoding" in request.headers}
        )

    async def test() -> None:
        app = web.Application(client_max_size=2**24)
        app.add_routes([web.route("*", "/echo", echo)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (tmp_path / "big").write_bytes(BIG)
        async with running_cluster(stable_port=runner.addresses[0][1]) as w:
            url = f"http://127.0.0.1:{w.port}/echo"
            upload = await curl("-T", str(tmp_path / "big"), "-H", "Expect: 100-continue", url)
            assert b'"size": 2097152, "same": true, "chunked": false' in upload.stdout
            chunked = await curl("-T", str(tmp_path / "big"), "-H", "Transfer-Encoding: chunked", url)
            assert b'"same": true, "chunked": true' in chunked.stdout
            posted = await curl("-d", "hello", url)
            assert b'"size": 5' in posted.stdout
        await runner.cleanup()

    run(test(), 40)


def test_an_http_1_0_server_of_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(BIG)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    async def test() -> None:
        async with running_cluster(stable_port=server.server_address[1]) as w, aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"http://127.0.0.1:{w.port}/hello.txt") as response:
                    assert await response.read() == BIG
                    assert response.headers["Via"] == "1.0 canaryproxy-test"

    try:
        run(test(), 40)
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""
