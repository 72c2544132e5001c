"""Who a request comes from, end to end: what versions, rules, cookie and log make of the forwarding fields. H26,
H76.
"""

from ipaddress import ip_network
from typing import Any

import pytest

from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity
from canaryproxy.telemetry.record.access_log import AccessLogEntry
from tests.support.cluster import GET, run, running_cluster

TRUSTED: dict[str, Any] = {"trusted": (ip_network("127.0.0.0/8"),)}
STANDARD: dict[str, Any] = {"forwarding": Forwarding("rfc7239")}
NEAR = Rule("near", (Condition("source", "in", ("203.0.113.0/24",)),), "canary")
BOTH = b"X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: http\r\nForwarded: for=203.0.113.9;proto=https\r\n"


def ask(fields: bytes) -> bytes:
    return GET.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n")


@pytest.mark.parametrize(
    ("kinds", "client", "scheme", "version"),
    [
        ({**TRUSTED, **STANDARD}, b"203.0.113.9", b"https", "canary"),
        (TRUSTED, b"198.51.100.7", b"http", "stable"),
        (STANDARD, b"127.0.0.1", b"http", "stable"),
        ({}, b"127.0.0.1", b"http", "stable"),
    ],
)
def test_only_the_family_that_the_balancer_writes_says_who_the_client_is(
    kinds: dict[str, Any], client: bytes, scheme: bytes, version: str
) -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        cookie = Affinity("cookie", "canaryproxy")
        async with running_cluster(rules=(NEAR,), affinity=cookie, access_log=entries.append, **kinds) as w:
            answer = await w.ask(ask(BOTH))
            (entry,) = entries
            assert (entry.client, entry.peer, entry.scheme, entry.version) == (client, b"127.0.0.1", scheme, version)
            (head,) = w.canary.heads or w.stable.heads
            assert b"\r\nX-Forwarded-Proto: " + scheme + b"\r\n" in head
            assert b"\r\nX-Forwarded-For: " + client in head
            assert (b"\r\nForwarded: " in head) is ("forwarding" in kinds)
            if version == "stable":
                assert b"\r\nSet-Cookie: canaryproxy=" in answer
                assert b"; Secure" not in answer

    run(test())


def test_the_cookie_is_secure_where_the_balancer_says_so() -> None:
    async def test() -> None:
        async with running_cluster(affinity=Affinity("cookie", "canaryproxy"), **TRUSTED, **STANDARD) as w:
            assert b"; SameSite=Lax; Secure\r\n" in await w.ask(ask(b"Forwarded: for=203.0.113.9;proto=https\r\n"))
            assert b"; SameSite=Lax\r\n" in await w.ask(ask(b"X-Forwarded-Proto: https\r\n"))

    run(test())


def test_no_rule_sees_what_is_not_passed_on() -> None:
    async def test() -> None:
        rules = (
            Rule("admin", (Condition("header", "exact", ("admin",), "x-forwarded-user"),), "canary"),
            Rule("old", (Condition("header", "present", ("true",), "forwarded"),), "canary"),
        )
        field = b"X-Forwarded-User: admin\r\nForwarded: for=a\r\n"
        for kinds, seen in (
            ({}, b""),
            (TRUSTED, b"admin"),
            ({"forwarding": Forwarding(allowed=("x-forwarded-user",))}, b"admin"),
        ):
            async with running_cluster(rules=rules, **kinds) as w:
                await w.ask(ask(field))
                assert (len(w.canary.heads), b"X-Forwarded-User: " in (w.canary.heads or w.stable.heads)[0]) == (
                    (1, True) if seen else (0, False)
                )

    run(test())
