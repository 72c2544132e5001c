"""Calls to a running instance, and what its refusals look like."""

import socket

import pytest
import typer

from canaryproxy.cli.remote import Remote, RemoteError, admin_url, refusal
from tests.support.admin import TOKENS, Api
from tests.support.live import live


def test_the_token_opens_what_is_guarded() -> None:
    with live(Api(TOKENS)) as served:
        assert Remote(served.url, "read-me").call("GET", "/api/v1/routes")["generation"] == 1
        with pytest.raises(RemoteError, match=r"401 A token is required; .*; set CANARYPROXY_TOKEN"):
            Remote(served.url).call("GET", "/api/v1/routes")


def test_an_instance_that_is_not_there_is_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(RemoteError, match="cannot be reached"):
        Remote(url).call("GET", "/readyz")
    with pytest.raises(RemoteError, match="cannot be reached"):
        Remote("nonsense").call("GET", "/readyz")


def test_one_that_does_not_answer_is_not_waited_for() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(RemoteError, match="does not answer"):
            Remote(f"http://127.0.0.1:{mute.getsockname()[1]}").call("GET", "/readyz", timeout=0.05)


def test_something_else_that_listens_there_is_distinguished() -> None:
    with live(Api()) as served, pytest.raises(RemoteError, match="is not canaryproxy"):
        Remote(served.url).call("GET", "/docs")


def test_text_of_the_server_is_made_printable() -> None:
    assert refusal(409, {"title": "No\x1b[31m", "detail": "x"}) == "409 No\\x1b[31m; x"
    assert refusal(500, []) == "500 refused"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://127.0.0.1:9900", "http://127.0.0.1:9900"),
        ("http://127.0.0.1:9900/", "http://127.0.0.1:9900"),
        ("127.0.0.1:9900", "http://127.0.0.1:9900"),
        ("localhost:9900", "http://localhost:9900"),
        (":9900", "http://127.0.0.1:9900"),
        ("[::1]:9900", "http://[::1]:9900"),
        ("[::1]", "http://[::1]:9900"),
        ("gateway", "http://gateway:9900"),
        ("gateway.ops.svc:80", "http://gateway.ops.svc:80"),
        ("gateway:9900/canary/", "http://gateway:9900/canary"),
        ("https://ops.example.com/canary", "https://ops.example.com/canary"),
        ("HTTPS://Ops.Example.com", "https://ops.example.com"),
        ("http://[::1]:9900/a", "http://[::1]:9900/a"),
        ("  :9900\n", "http://127.0.0.1:9900"),
    ],
)
def test_a_url_or_an_address_is_understood(written: str, url: str) -> None:
    assert admin_url(written) == url


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "expected a URL or an address"),
        (" ", "expected a URL or an address"),
        ("9900", "write :9900"),
        ("::1:9900", "in brackets"),
        ("http://::1:9900", "in brackets"),
        ("ftp://gateway:9900", "only http:// and https://"),
        ("unix:///run/admin.sock", "only http:// and https://"),
        ("://gateway", "only http:// and https://"),
        ("http://", "expected a URL or an address"),
        ("http://:9900", "expected a URL or an address"),
        ("gateway:", "expected a URL or an address"),
        ("gateway:0", "expected a URL or an address"),
        ("gateway:x", "expected a URL or an address"),
        ("gateway:99999", "expected a URL or an address"),
        ("[::1", "expected a URL or an address"),
        ("[x]:9900", "expected a URL or an address"),
        ("/run/admin", "expected a URL or an address"),
        ("ci:s3cret@gateway:9900", "leave out the user and password"),
        ("http://gateway:9900/?a", "leave out the query"),
        ("http://gateway#a", "leave out the query"),
        ("two words:1", "expected a URL or an address"),
        ("gatew\u00e4y:9900", "expected a URL or an address"),
        ("http:\\\\gateway:9900", "expected a URL or an address"),
    ],
)
def test_anything_else_is_said_to_be_wrong(written: str, words: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        admin_url(written)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
