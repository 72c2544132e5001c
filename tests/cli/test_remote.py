"""Calls to a running instance, and what its refusals look like."""

import socket

import pytest

from canaryproxy.cli.remote import Remote, RemoteError, refusal
from tests.support.admin import TOKENS, Api
from tests.support.live import live


def test_the_token_opens_what_is_guarded() -> None:
    with live(Api(TOKENS)) as served:
        assert Remote(served.url, "read-me").call("GET", "/api/v1/routes")["generation"] == 1
        with pytest.raises(RemoteError, match=r"401 A token is needed; .*; set CANARYPROXY_TOKEN"):
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
            Remote(f"http://127.0.0.1:{mute.getsockname()[1]}").call("GET", "/readyz", patience=0.05)


def test_something_else_that_listens_there_is_distinguished() -> None:
    with live(Api()) as served, pytest.raises(RemoteError, match="no canaryproxy"):
        Remote(served.url).call("GET", "/docs")


def test_text_of_the_server_is_made_printable() -> None:
    assert refusal(409, {"title": "No\x1b[31m", "detail": "x"}) == "409 No\\x1b[31m; x"
    assert refusal(500, []) == "500 refused"
