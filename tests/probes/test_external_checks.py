"""Answers of Prometheus and of others, well formed and not."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canaryproxy.config.schema.sources import CheckConfig
from canaryproxy.dataplane.tls import client_context
from canaryproxy.probes.external_checks import decoded, filled, finite, json_number, over_http, prometheus_number
from canaryproxy.probes.scrape import ScrapeError
from tests.support.secure import secure_server


def vector(*values: str) -> dict[str, Any]:
    result = [{"metric": {}, "value": [1.0, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def test_one_number_comes_of_a_query() -> None:
    assert prometheus_number(vector("0.5")) == 0.5
    assert prometheus_number({"data": {"resultType": "scalar", "result": [1.0, "2"]}}) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (vector(), "query returned no data"),
        (vector("1", "2"), "query returned 2 series, not one"),
        (vector("NaN"), 'not a number: "NaN"'),
        (vector("+Inf"), "not a number"),
        ({"data": {"resultType": "matrix", "result": []}}, "query returned a matrix"),
        ({"data": {}}, "not a Prometheus response"),
        ([1], "not a Prometheus response"),
    ],
)
def test_anything_else_is_no_answer(answer: Any, words: str) -> None:
    with pytest.raises(ScrapeError, match=words):
        prometheus_number(answer)


def test_a_pointer_leads_to_a_number_in_json() -> None:
    answer = {"a/b": [{"~x": 0.25}], "ok": True, "text": "7"}
    assert json_number(answer, "/a~1b/0/~0x") == 0.25
    assert json_number(answer, "/ok") == 1
    assert json_number(answer, "/text") == 7
    assert json_number(3, "") == 3
    for pointer in ("/none", "/a~1b/7", "/a~1b/x", "/ok/deeper"):
        with pytest.raises(ScrapeError, match="response has no "):
            json_number(answer, pointer)
    with pytest.raises(ScrapeError, match="not a number"):
        json_number(answer, "")


def test_what_is_no_json_or_no_number_is_no_answer() -> None:
    for body in (b"<html>", b"[" * 100_000, b"\xff"):
        with pytest.raises(ScrapeError, match="not JSON"):
            decoded(body)
    for value in (None, "much", 10**400):
        with pytest.raises(ScrapeError):
            finite(value)


def test_version_and_route_are_filled_in() -> None:
    assert filled("{{version}} of {{route}}, {{version}}", "shop", "canary") == "canary of shop, canary"


async def test_both_kinds_are_asked_with_the_token() -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response(vector("0.75") if "query" in request.query else {"score": 0.5})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    prometheus = CheckConfig.model_validate(
        {"name": "a", "prometheus": f"{base}/prom/", "query": 'up{v="{{version}}"}', "max": 1, "token": "secret"}
    )
    service = CheckConfig.model_validate(
        {"name": "b", "url": f"{base}/{{{{route}}}}?v={{{{version}}}}", "field": "/score", "min": 0}
    )
    ask = over_http(client_context)
    assert await ask(prometheus, "shop", "canary") == 0.75
    assert await ask(service, "shop", "stable") == 0.5
    await runner.cleanup()
    assert [(one.path, dict(one.query)) for one in asked] == [
        ("/prom/api/v1/query", {"query": 'up{v="canary"}'}),
        ("/shop", {"v": "stable"}),
    ]
    assert [one.headers.get("Authorization") for one in asked] == ["Bearer secret", None]


async def test_headers_and_an_authority_of_its_own_lead_to_a_number(tmp_path: Path) -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response(vector("0.5"))

    app = web.Application()
    app.router.add_get("/api/v1/query", handle)
    ask = over_http(client_context)
    async with secure_server(app, "prometheus.test") as (port, authority):
        check = {"name": "a", "prometheus": f"https://127.0.0.1:{port}", "query": "up", "max": 1}
        with pytest.raises(ScrapeError, match="certificate rejected: "):
            await ask(CheckConfig.model_validate(check), "shop", "canary")
        check |= {
            "headers": {"X-Scope-OrgID": "shop", "accept": "text/json"},
            "tls": {"ca": str(authority.write_ca(tmp_path)), "server_name": "prometheus.test"},
        }
        assert await ask(CheckConfig.model_validate(check), "shop", "canary") == 0.5
    assert (asked[0].headers["x-scope-orgid"], asked[0].headers["Accept"]) == ("shop", "text/json")


async def test_a_service_that_speaks_no_tls_is_said_to() -> None:
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    with pytest.raises(ScrapeError, match="not a TLS server"):
        await over_http(client_context)(CheckConfig.model_validate({"name": "a", "url": url, "max": 1}), "s", "stable")
    await runner.cleanup()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"value": ' + b"9" * 5_000 + b"}",
        b'{"value": ' + b"9" * 1_000 + b"}",
        b'{"value": NaN}',
        b'{"value": -Infinity}',
        b'{"value": 1e999}',
        b'{"value": "' + b"1" * 100_000 + b'"}',
        b'{"value": "\\u001b[31m\\n"}',
        b'{"value": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"value": {"a": 1}}',
        b"\xff\xfe",
        b"",
    ],
)
def test_a_hostile_answer_in_json_is_no_answer_in_one_short_line(body: bytes) -> None:
    with pytest.raises(ScrapeError) as caught:
        json_number(decoded(body), "/value")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", [["vector"], {"a": 1}, None, 7])
def test_a_kind_of_result_that_prometheus_does_not_know_is_not_repeated(kind: object) -> None:
    with pytest.raises(ScrapeError, match=r"^not a Prometheus response$"):
        prometheus_number({"data": {"resultType": kind, "result": []}})


def test_of_two_members_of_one_name_the_last_one_counts() -> None:
    assert json_number(decoded(b'{"value": 1, "value": 2}'), "/value") == 2


@pytest.mark.parametrize("kind", ["x" * 10_000, "a\nb", "\x1b[31m", "\ud800", "\u202e", "<!channel>"])
def test_what_a_service_says_is_a_line_of_bounded_length(kind: str) -> None:
    """Half a surrogate pair would have broken the answers of the API, and a megabyte each of its events."""
    with pytest.raises(ScrapeError) as caught:
        prometheus_number({"data": {"resultType": kind, "result": []}})
    said = str(caught.value)
    assert said.startswith("query returned a ")
    assert said.isprintable()
    assert len(said) <= 250
