"""Callers of the API who put control characters wherever text goes: neither an answer nor the log has one of them."""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application
from yarl import URL

from canaryproxy.admin import app as application
from canaryproxy.admin.app import admin_application
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.log import JsonFormatter, TextFormatter
from tests.support.admin import TOKENS, WRITE, Api

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]

STRANGE = "\x1b[5m\x07\x9b5m\x7f\u202e\u2066\u2028\u200b\r\n12:00:00 ERROR forged"
LONG = STRANGE * 2_000

WRONG = {"Authorization": "Bearer wrong"}

RULE = {"name": "r", "to": "canary", "headers": {"x-y": "\x9b5m\u202e\u200bname"}}

BODIES: list[Any] = [
    STRANGE,
    [STRANGE],
    {STRANGE: STRANGE},
    {"canary": STRANGE},
    {"canary": {"url": STRANGE, STRANGE: 1}},
    {"canary": f"http://{STRANGE}"},
    {"name": STRANGE, "to": STRANGE},
    {**RULE, "name": STRANGE},
    RULE,
    {**RULE, "name": "s", "headers": {STRANGE: {"regex": f"({STRANGE}"}}},
    {"rules": [RULE, {**RULE, "name": "t", "to": STRANGE}]},
    {"version": STRANGE, "stable_version": STRANGE, "rollout_id": STRANGE},
    {"goal": STRANGE, "key": STRANGE},
    {"goal": "purchase", "key": "\ud800"},
    {"name": LONG, "to": "canary"},
    {"canary": LONG},
    {"rollout_id": LONG},
    {"version": "\ud800"},
    {**RULE, "name": "u", "headers": {"x-y": "\ud800"}},
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "LATE_SECONDS", 0.0)


def harmless(data: bytes, most: int = 16_384) -> bool:
    return len(data) < most and data.decode("utf-8").replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "name", [STRANGE, "shop", "shop" + STRANGE, "\udcff", LONG[:6_000]], ids=["a", "b", "c", "d", "e"]
)
async def test_no_answer_and_no_log_line_has_what_a_terminal_follows(
    name: str, aiohttp_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    inside = quote(name, safe="", errors="surrogateescape")
    statuses = set()
    caplog.set_level("DEBUG")
    for operation in OPERATIONS:
        bodies = [None] if operation.body is None else BODIES[: 1 if len(name) > 1_000 else None]
        path = re.sub(r"\{\w+\}", inside, operation.path.replace("{route}", "shop", name != "shop"))
        for url in (
            path,
            re.sub(r"\{\w+\}", inside, operation.path),
            f"{path}?window={inside}&limit={inside}&step={inside}",
        ):
            for body in bodies:
                for token in (WRITE, WRONG) if body is bodies[0] else (WRITE,):
                    headers = {**token, "Content-Type": "application/json", "If-Match": '"\xff"'}
                    if body is not BODIES[0]:
                        del headers["If-Match"]
                    data = None if body is None else json.dumps(body)
                    answer = await client.request(operation.method, URL(url, encoded=True), headers=headers, data=data)
                    said = await answer.read()
                    statuses.add(answer.status)
                    assert answer.status != 500, (url, body, caplog.text)
                    assert harmless(said), (url, body, said)
                    assert json.loads(said) if answer.status != 400 or len(name) < 1_000 else b"more than" in said, said
    assert {200, 401, 404, 422} <= statuses or len(name) > 1_000
    for record in caplog.records:
        for formatter in (TextFormatter(), JsonFormatter()):
            line = formatter.format(record)
            assert line.isprintable()
            assert len(line.encode()) < 4096
    assert any("login from" in record.getMessage() for record in caplog.records)
    logging.getLogger("canaryproxy").setLevel(logging.NOTSET)


async def test_a_value_that_a_rule_compares_with_comes_back_as_it_was(aiohttp_client: Client) -> None:
    api = await Api(TOKENS).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    answer = await client.post("/api/v1/routes/shop/rules", headers=WRITE, json=RULE)
    assert answer.status == 201
    said = await (await client.get("/api/v1/routes/shop/rules", headers=WRITE)).read()
    assert harmless(said)
    assert RULE in json.loads(said)["rules"]
