"""The admin API's section: never open to others by accident."""

from pathlib import Path

import pytest

from canaryproxy.config import Config, ConfigError, from_flags, parse
from canaryproxy.config.load import ServerFlags


def server(text: str) -> Config:
    return parse(f"server: {{{text}}}\nstable: http://a\ncanary: http://b\n", "f", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("admin: {listen: '0.0.0.0:9900'}", "other machines can reach this address"),
        ("admin: {listen: '10.1.2.3:9900', tokens: []}", "other machines can reach this address"),
        ("admin: {listen: ':9900'}", "other machines can reach this address"),
        ("admin: {listen: '[::]:9900'}", "other machines can reach this address"),
        ("admin: {listen: '[::1234]:9900'}", "other machines can reach this address"),
        ("admin: {auth: none, tokens: [{name: a, role: read, token: x}]}", "remove `auth` or `tokens`"),
        ("admin: {auth: basic}", "expected none"),
        ("admin: {tokens: [{name: a, role: read}]}", "give one of them"),
        ("admin: {tokens: [{name: a, role: read, token: x, token_file: y}]}", "cannot be read"),
        ("admin: {tokens: [{name: a, role: read, token: x}, {name: a, role: read, token: y}]}", "a name of its own"),
        ("metrics: {buckets: [2s, 1s]}", "rising order"),
        ("metrics: {buckets: []}", "at least one"),
        ("log: {level: loud}", "expected debug, info, warning or error"),
        ("probes: {}", "neither `listen` nor `socket`"),
        ("probes: {socket: none}", "neither `listen` nor `socket`"),
        ("probes: {socket: ''}", "expected the path of a socket, or `none`"),
        (f"probes: {{socket: {'a' * 108}}}", "at most 107 bytes long"),
        ("state: ''", "memory"),
        ("workers: none", "from 1 to 256, or `auto`"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        server(text)


def test_open_to_everyone_only_when_said_so_and_not_without_a_warning() -> None:
    assert "every client that can reach" in server("admin: {listen: '0.0.0.0:9900', auth: none}").warnings[0]
    assert server("admin: {listen: ':9900', auth: none}").warnings
    assert server("admin: {listen: '127.0.0.2:9900'}").warnings == ()
    assert server("admin: {listen: '[::1]:9900'}").warnings == ()
    assert server("admin: off").server.admin is None


def test_tokens_and_contents_of_files_are_followed_live_and_the_rest_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ci"
    path.write_text("one")
    text = f"admin: {{tokens: [{{name: ci, role: write, token_file: {path}}}]}}"
    before = server(text)
    path.write_text("two")
    after = server(text)
    assert before.server.lasting == after.server.lasting
    assert [config.server.admin.tokens[0].secret for config in (before, after) if config.server.admin] == ["one", "two"]
    assert path in after.files
    assert server("admin: {listen: '127.0.0.1:1'}").server.lasting != server("admin: off").server.lasting
    assert server("workers: 2").server.lasting != server("workers: 3").server.lasting


def test_flags() -> None:
    flags = ServerFlags("127.0.0.1:1", "memory", "3")
    built = from_flags("http://a", "http://b", server=flags).server
    assert (str(built.admin.listen) if built.admin else "", built.state, built.workers) == ("127.0.0.1:1", "memory", 3)
    assert from_flags("http://a", "http://b", server=ServerFlags(admin_listen="off")).server.admin is None
    with pytest.raises(ConfigError, match="--admin-listen: "):
        from_flags("http://a", "http://b", server=ServerFlags(admin_listen="0.0.0.0:9900"))
    with pytest.raises(ConfigError, match="--workers: "):
        from_flags("http://a", "http://b", server=ServerFlags(workers="many"))
