"""Webhooks: gates are asked until they agree, all others are notified; over real sockets, too."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canaryproxy.config.schema.hooks import HookConfig, NotifyConfig, OutboundCallConfig
from canaryproxy.control import hooks as module
from canaryproxy.control.hooks import RETRY_SECONDS, Hooks, document, notice, over_http
from canaryproxy.dataplane.tls import client_context
from canaryproxy.probes.failing_dependencies import FailingDependencies
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.state import Notice, Rollout
from tests.support.secure import secure_server
from tests.support.silent import silent

GATE = HookConfig.model_validate({"name": "g", "when": "raise", "url": "http://g", "retries": 2})
HERE = Rollout("progressing", step=1, weight=2500, step_since=7.0)


def whom(url: str, **more: object) -> OutboundCallConfig:
    return NotifyConfig.model_validate({"url": url, "timeout": "5s", **more})


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.answers: list[str] = []
        self.calls = 0
        self.failures = FailingDependencies(lambda: self.now)
        self.hooks = Hooks(self.post, lambda: self.now, self.failures)

    async def post(self, whom: OutboundCallConfig, what: Mapping[str, Any]) -> str:
        self.calls += 1
        return self.answers.pop(0) if self.answers else ""

    async def gate(self) -> str | None:
        self.hooks.gate("shop", [GATE], "raise", HERE)
        for _ in range(5):
            await asyncio.sleep(0)
        return self.hooks.gate("shop", [GATE], "raise", HERE)


async def test_a_gate_is_asked_once_and_again_later_while_it_is_closed() -> None:
    bench = Bench()
    bench.answers = ["HTTP status 403"]
    assert bench.hooks.gate("shop", [GATE], "raise", HERE) is None
    assert await bench.gate() == "gate g: HTTP status 403"
    assert bench.calls == 1
    bench.now += RETRY_SECONDS
    assert await bench.gate() == ""
    assert (await bench.gate(), bench.calls) == ("", 2)
    assert bench.hooks.gate("shop", [GATE], "promotion", HERE) == ""
    other = Rollout("progressing", step=2, weight=5000, step_since=9.0)
    assert bench.hooks.gate("shop", [GATE], "raise", other) is None
    bench.hooks.stop()


async def test_no_answer_is_tried_again_and_a_refusal_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    bench = Bench()
    bench.answers = ["connection refused", "HTTP status 503"]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == ""
    bench.answers = ["HTTP status 404", ""]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == "gate g: HTTP status 404"
    bench.answers = ["a", "b", "c", ""]
    assert await bench.hooks.ask("shop", [GATE], "raise", HERE) == "gate g: c"


async def test_a_mistake_of_ours_keeps_the_gate_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    async def broken(*_: object) -> str:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(bench.hooks, "ask", broken)
    assert await bench.gate() == "internal error while asking a gate; see the log"


def test_documents_have_the_shape_of_flaggers() -> None:
    data = document("shop", HERE, GATE, Notice("warning", "paused"), 5.0)
    assert (data["name"], data["phase"], data["weight"], data["step"]) == ("shop", "Progressing", 25, 1)
    assert data["metadata"] == {"eventMessage": "paused", "eventType": "Warning", "timestamp": "5000"}


def test_who_hears_of_a_rollout_hears_which_one_it_is_and_of_which_versions() -> None:
    named = replace(HERE, identity=RolloutIdentity("20261128-022013-k3f9z", "v42", "1.4", "v41"))
    names = {"rollout_id": "20261128-022013-k3f9z", "stable_version": "v41", "canary_version": "v42"}
    notify = NotifyConfig.model_validate({"url": "http://chat"})
    slack = NotifyConfig.model_validate({"url": "http://chat", "style": "slack"})
    one = Notice("info", "started")
    assert document("shop", named, GATE, one, 5.0).items() >= names.items()
    assert notice("shop", named, notify, one, 5.0).items() >= names.items()
    text = notice("shop", named, slack, one, 5.0)["attachments"][0]["text"]
    assert text == "progressing, rollout 20261128-022013-k3f9z of v42 beside v41"
    assert document("shop", HERE, GATE, one, 5.0)["canary_version"] is None
    assert notice("shop", HERE, slack, one, 5.0)["attachments"][0]["text"] == "progressing"


def test_a_chat_gets_a_sentence_and_a_colour() -> None:
    slack = NotifyConfig.model_validate({"url": "http://chat", "style": "slack"})
    said = notice("shop", HERE, slack, Notice("critical", "rolled back"), 5.0)
    assert said["text"] == "shop: rolled back"
    assert said["attachments"][0]["color"] == "#e01e5a"
    plain = notice("shop", HERE, NotifyConfig.model_validate({"url": "http://chat"}), Notice("info", "started"), 5.0)
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
    post = over_http(client_context)
    assert await post(whom(f"{base}/200", token="secret"), {"a": 1}) == ""
    assert await post(whom(f"{base}/403"), {"a": 1}) == "HTTP status 403: because"
    assert await post(whom(f"{base}/302"), {"a": 1}) == "HTTP status 302: because"
    await runner.cleanup()
    assert await post(whom(f"{base}/200"), {}) == "connection refused"
    assert asked[:2] == [({"a": 1}, "Bearer secret"), ({"a": 1}, None)]


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with silent() as port:
        called = whom(f"http://127.0.0.1:{port}/", timeout="100ms")
        assert await over_http(client_context)(called, {}) == "no response within 0.1 s"


async def test_a_webhook_is_called_with_its_headers_over_its_own_tls(tmp_path: Path) -> None:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    (tmp_path / "key").write_text("s3cret\n")
    async with secure_server(app) as (port, authority):
        url, ca = f"https://127.0.0.1:{port}/", authority.write_ca(tmp_path)
        stranger = await over_http(client_context)(whom(url), {})
        assert stranger.startswith("certificate rejected: ")
        key = {"x-key": {"file": str(tmp_path / "key"), "prefix": "Key "}, "user-agent": "ours"}
        tls = {"ca": str(ca), "server_name": "hook.test"}
        assert await over_http(client_context)(whom(url, headers=key, tls=tls), {}) == ""
    assert (asked[0].headers["X-Key"], asked[0].headers["User-Agent"]) == ("Key s3cret", "ours")


async def test_a_webhook_that_fails_is_said_now_and_then_and_its_secret_path_never(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    bench = Bench()
    hook = HookConfig.model_validate(
        {"name": "g", "when": "raise", "url": "http://chat.test:81/s3cret?x", "retries": 0}
    )
    for second in (1, 2, 70):
        bench.now, bench.answers = second, ["connection refused"]
        await bench.hooks.ask("shop", [hook], "raise", HERE)
    assert caplog.text.count("shop: webhook g at http://chat.test:81/... failed: connection refused") == 2
    assert "s3cret" not in caplog.text
    (failing,) = bench.failures.of("shop")
    assert (failing.what, failing.name, failing.row, failing.since) == ("hook", "g", 3, 1)
    with caplog.at_level(logging.INFO):
        await bench.hooks.ask("shop", [hook], "raise", HERE)
    assert "works again" in caplog.text
    assert not bench.failures.of("shop")


def test_a_chat_is_shown_no_markup_of_others() -> None:
    slack = NotifyConfig.model_validate({"url": "http://chat", "style": "slack"})
    sent = notice(
        "shop", HERE, slack, Notice("warning", "gate g: HTTP status 403: <!channel> <http://x|y> & more"), 1.0
    )
    assert sent["text"] == "shop: gate g: HTTP status 403: &lt;!channel&gt; &lt;http://x|y&gt; &amp; more"
