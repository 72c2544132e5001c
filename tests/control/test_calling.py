"""One request to somebody else: what goes out with it. How it fails is in `test_reasons`."""

import pytest
from aiohttp import web

from canaryproxy.control.calling import Failed, called, host_of, is_secure


async def test_redirects_are_not_followed_and_headers_are_sent(aiohttp_server: object) -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=302, headers={"Location": "/elsewhere"}, text="there")

    app = web.Application()
    app.router.add_post("/", handle)
    server = await aiohttp_server(app)  # type: ignore[operator]
    async with called("POST", f"http://127.0.0.1:{server.port}/", {"host": "a.test", "x-a": "1"}, 5.0) as response:
        assert (response.status, await response.text()) == (302, "there")
    assert [(one.host, one.headers["X-A"]) for one in asked] == [("a.test", "1")]


async def test_a_failure_carries_its_reason() -> None:
    with pytest.raises(Failed, match="it refused the connection") as caught:
        async with called("GET", "http://127.0.0.1:1/", {}, 5.0):
            pass
    assert caught.value.reason.kind == "refused"


def test_a_url_says_whom_to_expect() -> None:
    assert host_of("https://prom.test:9090/x") == "prom.test"
    assert host_of("https://[::1]:9090/x") == "::1"
    assert is_secure("HTTPS://a")
    assert not is_secure("http://a")
