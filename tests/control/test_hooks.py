"""Webhooks: gates are asked until they agree, everybody else is told; over real sockets, too."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from canaryproxy.config.hook import HookConfig, NotifyConfig
from canaryproxy.control import hooks as module
from canaryproxy.control.hooks import AGAIN, Hooks, document, notice, over_http
from canaryproxy.rollout.state import Rollout, Told
from tests.support.silent import silent

GATE = HookConfig.model_validate({"name": "g", "when": "raise", "url": "http://g", "retries": 2})
HERE = Rollout("progressing", step=1, weight=2500, step_since=7.0)


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.answers: list[str] = []
        self.calls = 0
        self.hooks = Hooks(self.post, lambda: self.now)

    async def post(self, url: str, what: Mapping[str, Any], token: str, seconds: float) -> str:
        self.calls += 1
        return self.answers.pop(0) if self.answers else ""

    async def gate(self) -> str | None:
        self.hooks.gate("shop", [GATE], "raise", HERE)
        for _ in range(5):
            await asyncio.sleep(0)
        return self.hooks.gate("shop", [GATE], "raise", HERE)


async def test_a_gate_is_asked_once_and_again_later_while_it_is_closed() -> None:
    bench = Bench()
    bench.answers = ["it answered 403"]
    assert bench.hooks.gate("shop", [GATE], "raise", HERE) is None
    assert await bench.gate() == "gate g: it answered 403"
    assert bench.calls == 1
    bench.now += AGAIN
    assert await bench.gate() == ""
    assert (await bench.gate(), bench.calls) == ("", 2)
    assert bench.hooks.gate("shop", [GATE], "promotion", HERE) == ""
    other = Rollout("progressing", step=2, weight=5000, step_since=9.0)
    assert bench.hooks.gate("shop", [GATE], "raise", other) is None
    assert "1 asked" in repr(bench.hooks)
    bench.hooks.stop()


async def test_no_answer_is_tried_again_and_a_refusal_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    bench = Bench()
    bench.answers = ["connection refused", "it answered 503"]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == ""
    bench.answers = ["it answered 404", ""]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == "gate g: it answered 404"
    bench.answers = ["a", "b", "c", ""]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == "gate g: c"


async def test_a_mistake_of_ours_keeps_the_gate_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    async def broken(*_: object) -> str:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(bench.hooks, "ask", broken)
    assert await bench.gate() == "ZeroDivisionError('oh')"


def test_documents_have_the_shape_of_flaggers() -> None:
    told = document("shop", HERE, GATE, Told("warning", "paused"), 5.0)
    assert (told["name"], told["phase"], told["weight"], told["step"]) == ("shop", "Progressing", 25, 1)
    assert told["metadata"] == {"eventMessage": "paused", "eventType": "Warning", "timestamp": "5000"}


def test_a_chat_gets_a_sentence_and_a_colour() -> None:
    slack = NotifyConfig.model_validate({"url": "http://chat", "style": "slack"})
    said = notice("shop", HERE, slack, Told("critical", "rolled back"), 5.0)
    assert said["text"] == "shop: rolled back"
    assert said["attachments"][0]["color"] == "#e01e5a"
    plain = notice("shop", HERE, NotifyConfig.model_validate({"url": "http://chat"}), Told("info", "started"), 5.0)
    assert (plain["at"], plain["severity"], plain["sentence"]) == ("1970-01-01T00:00:05.000Z", "info", "started")


async def test_over_http_the_status_decides() -> None:
    asked: list[tuple[dict[str, Any], str | None]] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append((await request.json(), request.headers.get("Authorization")))
        status = int(request.match_info["status"])
        return web.Response(status=status, text="because")

    app = web.Application()
    app.router.add_post("/{status}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    assert await over_http(f"{base}/200", {"a": 1}, "secret", 5) == ""
    assert await over_http(f"{base}/403", {"a": 1}, "", 5) == "it answered 403: because"
    assert await over_http(f"{base}/302", {"a": 1}, "", 5) == "it answered 302: because"
    await runner.cleanup()
    assert "onnect" in await over_http(f"{base}/200", {}, "", 5)
    assert asked[:2] == [({"a": 1}, "Bearer secret"), ({"a": 1}, None)]


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with silent() as port:
        assert await over_http(f"http://127.0.0.1:{port}/", {}, "", 0.05) == "it did not answer within 0.05 s"
