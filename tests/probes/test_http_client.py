"""One request to another service: what goes out with it. How it fails is in `test_reasons`."""

import asyncio
import errno
import ssl
import time

import aiohttp
import pytest
from aiohttp import web

from canaryproxy.config.schema.hooks import NotifyConfig
from canaryproxy.dataplane.tls import client_context
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.probes import http_client
from canaryproxy.probes.http_client import REFUSED, BoundedResponse, Call, CallFailedError, called
from tests.support.hostile import hostile
from tests.support.silent import silent


async def test_redirects_are_not_followed_and_headers_are_sent(aiohttp_server: object) -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=302, headers={"Location": "/elsewhere"}, text="there")

    app = web.Application()
    app.router.add_post("/", handle)
    server = await aiohttp_server(app)  # type: ignore[operator]
    async with called(
        "POST", Call(f"http://127.0.0.1:{server.port}/", {"host": "a.test", "x-a": "1"}, 5.0)
    ) as response:
        assert (response.status, await response.text()) == (302, "there")
    assert [(one.host, one.headers["X-A"]) for one in asked] == [("a.test", "1")]


async def test_a_failure_carries_its_reason() -> None:
    with pytest.raises(CallFailedError, match="connection refused") as caught:
        async with called("GET", Call("http://127.0.0.1:1/", {}, 5.0)):
            pass
    assert caught.value.reason.kind == "refused"


FLOODS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "head"),
    "fields of interim answers": (b"", (b"HTTP/1.1 103 X\r\n" + b"a: b\r\n" * 100 + b"\r\n") * 50, "head"),
    "one-byte chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 5000, "framing"),
    "an extension of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 50_000, "framing"),
    "a body without an end": (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 50_000, "size"),
}
"""What is sent once and then again and again, and why it is refused."""


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_ends_at_a_limit_that_the_reason_names(flood: str) -> None:
    once, again, why = FLOODS[flood]
    before = REFUSED.copy()
    async with hostile(once, again) as port:
        with pytest.raises(CallFailedError) as caught:
            async with called("GET", Call(f"http://127.0.0.1:{port}/", {}, 60.0)) as response:
                await response.read()
    assert (caught.value.reason.kind, caught.value.reason.why) == ("too_much", why)
    assert caught.value.reason.words.endswith(" KiB")
    assert {one: REFUSED[one] - before[one] for one in REFUSED if REFUSED[one] != before[one]} == {why: 1}


@pytest.mark.parametrize(
    "again", [b"a: b\r\n" * 1000, b"a: " + b"b" * 50_000, b"Set-Cookie: " + b"a=b; " * 1000 + b"\r\n"]
)
async def test_a_head_without_an_end_is_no_http(again: bytes) -> None:
    async with hostile(b"HTTP/1.1 200 OK\r\n", again) as port:
        with pytest.raises(CallFailedError) as caught:
            async with called("GET", Call(f"http://127.0.0.1:{port}/", {}, 60.0)):
                pass
    assert caught.value.reason.kind in ("not_http", "too_much")


async def test_however_many_flood_a_slice_of_one_is_parsed_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    parse = BoundedResponse.parse

    def counted(self: BoundedResponse) -> bool:
        rounds[-1] += 1
        assert len(self._arrived) < 1_000_000
        return parse(self)

    async def watch() -> None:
        while True:
            rounds.append(0)
            await asyncio.sleep(0)

    monkeypatch.setattr(BoundedResponse, "parse", counted)
    once, again, _ = FLOODS["one-byte chunks"]

    async def ask(port: int) -> None:
        with pytest.raises(CallFailedError):
            async with called("GET", Call(f"http://127.0.0.1:{port}/", {}, 60.0)) as response:
                await response.read()

    watching = asyncio.get_running_loop().create_task(watch())
    async with hostile(once, again) as port:
        await asyncio.gather(*(ask(port) for _ in range(8)))
    watching.cancel()
    assert sum(rounds) >= 8 * http_client.MAX_HEAD_BYTES / http_client.SLICE
    assert max(rounds) <= 2


async def test_an_honest_answer_of_many_chunks_is_read_whole() -> None:
    lines = [b"%d is a line\n" % number for number in range(4_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines)
    async with (
        hostile(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n") as port,
        called("GET", Call(f"http://127.0.0.1:{port}/", {}, 60.0)) as response,
    ):
        assert await response.read() == b"".join(lines)


async def test_what_came_whole_is_read_though_the_connection_is_reset_behind_it() -> None:
    async with (
        hostile(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 60_000) as port,
        called("GET", Call(f"http://127.0.0.1:{port}/", {}, 60.0)) as response,
    ):
        assert await response.read() == b"a" * 60_000


async def test_what_no_context_can_be_made_for_fails_with_a_reason() -> None:
    def lacking(_: UpstreamTls) -> ssl.SSLContext:
        raise OSError(errno.EMFILE, "no more")

    with pytest.raises(CallFailedError, match="local failure") as caught:
        async with called("GET", Call("https://127.0.0.1:1/", {}, 5.0, UpstreamTls("a.test"), lacking)):
            pass
    assert caught.value.reason.kind == "ours"


async def test_who_was_not_heard_because_the_loop_was_held_up_is_not_to_blame() -> None:
    async def hold_up() -> None:
        await asyncio.sleep(0.05)
        time.sleep(0.4)  # noqa: ASYNC251 - that is the point

    async with silent() as port:
        holding = asyncio.get_running_loop().create_task(hold_up())
        with pytest.raises(CallFailedError, match="this process was too busy") as caught:
            async with called("GET", Call(f"http://127.0.0.1:{port}/", {}, 0.2)):
                pass
        await holding
    assert caught.value.reason.kind == "ours"


async def test_a_local_port_that_is_lacking_is_not_held_against_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacking(*_: object, **__: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", lacking)
    monkeypatch.setattr("canaryproxy.probes.http_client.reachable", lambda host, _: host == "127.0.0.1")
    for url, kind in (("http://127.0.0.1:1/", "ours"), ("http://[2001:db8::1]:1/", "unreachable")):
        with pytest.raises(CallFailedError) as caught:
            async with called("GET", Call(url, {}, 5.0)):
                pass
        assert caught.value.reason.kind == kind


async def test_a_certificate_that_cannot_be_proven_without_a_descriptor_is_not_held_against_an_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(*_: object, **__: object) -> None:
        error = ssl.SSLCertVerificationError(1, "unable to get local issuer certificate")
        error.verify_message = "unable to get local issuer certificate"
        raise error

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refused)
    for lacking, kind in ((True, "ours"), (False, "tls")):
        monkeypatch.setattr(http_client, "no_descriptor", lambda lacking=lacking: lacking)
        with pytest.raises(CallFailedError) as caught:
            async with called("GET", Call("https://127.0.0.1:1/", {}, 5.0)):
                pass
        assert caught.value.reason.kind == kind


@pytest.mark.parametrize(
    ("url", "host"), [("HTTPS://prom.test:9090/x", "prom.test"), ("https://[::1]:9090/x", "::1"), ("http://a", None)]
)
def test_the_scheme_and_the_host_of_a_url_decide_on_tls(url: str, host: str | None) -> None:
    made = Call.configured(url, NotifyConfig(url="http://a"), {}, client_context)
    assert (None if made.tls is None else made.tls.server_name) == host
