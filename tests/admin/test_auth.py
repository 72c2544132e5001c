"""Tokens and hosts."""

import pytest

from canaryproxy.admin.auth import Authenticator, find
from canaryproxy.admin.problems import ApiError
from canaryproxy.config import parse
from canaryproxy.config.schema.admin import AdminConfig

TOKENS = "{tokens: [{name: ci, role: write, token: a}, {name: eyes, role: read, token: b}]}"


def config(admin: str) -> AdminConfig:
    found = parse(f"server: {{admin: {admin}}}\nstable: http://a\ncanary: http://b\n", "f", {}).server.admin
    assert found is not None
    return found


def test_a_token_is_found_by_its_value_alone() -> None:
    tokens = config(TOKENS).tokens
    assert [getattr(find(given, tokens), "name", None) for given in ("a", "b", "", "c", "A", "é")] == [
        "ci",
        "eyes",
        None,
        None,
        None,
        None,
    ]


def test_roles() -> None:
    gate = Authenticator(lambda: config(TOKENS))
    reader = gate.authenticate("bearer b", "::1")
    gate.authorize(reader, "read")
    with pytest.raises(ApiError, match="forbidden"):
        gate.authorize(reader, "write")
    gate.authorize(gate.authenticate("Bearer a", "::1"), "write")


def test_without_tokens_anyone_may_write_but_only_by_known_names() -> None:
    gate = Authenticator(lambda: config("{hosts: [ops.test]}"))
    assert not gate.guarded
    assert gate.authenticate(None, "::1").role == "write"
    for host in ("localhost:9900", "127.0.0.1", "[::1]:9900", "ops.test", "a.localhost"):
        gate.check_host(host, None)
    for host in ("evil.test", "", "127.0.0.1.evil.test"):
        with pytest.raises(ApiError):
            gate.check_host(host, None)
    gate.check_host("localhost:9900", "http://localhost:9900")


def test_with_tokens_any_name_will_do() -> None:
    Authenticator(lambda: config(TOKENS)).check_host("canaryproxy.prod.svc", None)
