"""Why a request failed, from real servers that misbehave and from errors that are hard to make."""

import asyncio
import errno
import socket
import ssl

import aiohttp
import pytest
from yarl import URL

from bench.ports import free_port
from canaryproxy.dataplane.tls import client_context
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.probes.failure_reasons import Kind, answered, late, reason_of
from canaryproxy.probes.http_client import Call, CallFailedError, called
from tests.support.silent import silent

INFO = aiohttp.RequestInfo(URL("http://a/"), "GET", {}, URL("http://a/"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), "timeout", "no response within 2 s"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused", "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "reset", "connection reset"),
        (OSError(errno.EHOSTUNREACH, "x"), "unreachable", "no route to host"),
        (OSError(errno.EMFILE, "x"), "ours", "local failure: Too many open files"),
        (OSError(errno.ENOMEM, "x"), "ours", "local failure: Cannot allocate memory"),
        (OSError(errno.ENOEXEC, "x"), "other", "exec format error"),
        (socket.gaierror(-2, "Name or service not known"), "dns", "name resolution failed: Name or service not known"),
        (aiohttp.ServerDisconnectedError(), "closed", "connection closed without a response"),
        (aiohttp.ClientPayloadError("x"), "closed", "response is incomplete"),
        (aiohttp.ClientResponseError(INFO, (), message="Bad\nstatus \x1b line"), "not_http", ": Bad status ? line"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), "tls", "TLS handshake failed: "),
        (OSError("Multiple exceptions"), "other", "multiple exceptions"),
        (OSError(), "other", "OSError"),
        (ValueError("http://a/secret"), "other", "invalid request (ValueError)"),
        (aiohttp.InvalidURL("http://a/secret"), "other", "invalid request (InvalidURL)"),
        (aiohttp.ClientConnectionError("http://a/secret"), "other", "(ClientConnectionError)"),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_a_sentence_and_a_word(error: Exception, kind: Kind, words: str) -> None:
    reason = reason_of(error, 2.0)
    assert reason.kind == kind
    assert words in str(reason)
    assert "secret" not in str(reason)


def test_the_words_of_others_are_cut() -> None:
    assert len(reason_of(OSError("x" * 10_000), 1.0).words) == 200


def test_a_status_and_silence_have_words_of_their_own() -> None:
    assert str(answered(503)) == "HTTP status 503"
    assert str(late(0.5, connected=False)) == "no connection within 0.5 s"


async def failure(url: str, tls: UpstreamTls | None = None) -> CallFailedError:
    with pytest.raises(CallFailedError) as caught:
        async with called("GET", Call(url, {}, 2.0, tls, client_context)) as response:
            await response.read()
    return caught.value


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", "closed"),
        (b"220 mail.test ESMTP\r\n", "not_http"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not_http"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "closed"),
    ],
)
async def test_real_servers_that_misbehave_are_distinguished(said: bytes, kind: Kind) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await failure(f"http://127.0.0.1:{port}/")).reason.kind == kind


async def test_one_who_is_not_there_refuses_and_one_without_a_name_is_not_found() -> None:
    assert (await failure(f"http://127.0.0.1:{free_port()}/")).reason.kind == "refused"
    assert (await failure("http://nowhere.invalid/")).reason.kind == "dns"


async def test_one_who_speaks_no_tls_is_said_to() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(f"https://127.0.0.1:{port}/", UpstreamTls("a.test"))
    assert (error.reason.kind, str(error)) == ("tls", "not a TLS server")


async def test_silence_after_a_connection_is_another_thing_than_no_connection() -> None:
    async with silent() as port:
        with pytest.raises(CallFailedError, match=r"no response within 0\.05 s"):
            async with called("GET", Call(f"http://127.0.0.1:{port}/", {}, 0.05)):
                pass
