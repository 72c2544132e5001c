"""Where the admin API is, as people write it."""

import pytest
import typer

from canaryproxy.cli.admin_url import admin_url


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
        ("ci:s3cret@gateway:9900", "leave out user and password"),
        ("http://gateway:9900/?a", "leave out query"),
        ("http://gateway#a", "leave out query"),
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
