"""Answers as a cache between us and the client meets them: every status, method and way to be answered. H78, H79."""

import asyncio
import re
from typing import Any

import pytest

from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import Affinity, Caching, Shield
from tests.dataplane.test_tunnel import ASK, echo
from tests.support.cluster import GET, Behaviour, read_head, run, running_cluster

COOKIE = Affinity("cookie", "canaryproxy")
TESTERS = Rule("testers", (Condition("header", "exact", ("1",), "x-tester"),), "canary")
STICKY: dict[str, Any] = {"affinity": COOKIE, "weight": 500}


def values(answer: bytes, name: bytes) -> list[bytes]:
    head = answer.partition(b"\r\n\r\n")[0] + b"\r\n"
    return re.findall(rb"\r\n(?i:%b): ?([^\r]*)(?=\r\n)" % name, head)


def saying(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: 0\r\n\r\n"


def once(response: bytes) -> Behaviour:
    """One answer, and the end of the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(response)

    return behave


STATUSES = [
    b"200 OK",
    b"204 No Content",
    b"206 Partial Content",
    b"301 Moved",
    b"304 Not Modified",
    b"404 Not Found",
    b"503 No",
]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PROPFIND"])
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_and_method_is_treated_alike(method: bytes, status: bytes) -> None:
    async def test() -> None:
        async with running_cluster(**STICKY) as w:

            async def ask(*lines: bytes) -> bytes:
                response = saying(b"Connection: close", *lines, status=status)
                w.stable.behaviour = w.canary.behaviour = once(response)
                return await w.ask(GET.replace(b"GET", method))

            silent = await ask()
            assert len(values(silent, b"Set-Cookie")) == 1
            assert (values(silent, b"Cache-Control"), values(silent, b"Vary")) == ([b"private"], [b"Cookie"])
            open_ = await ask(b"Cache-Control: no-cache", b"Vary: Accept")
            assert len(values(open_, b"Set-Cookie")) == 1
            assert values(open_, b"Cache-Control") == [b"no-cache, private"]
            assert values(open_, b"Vary") == [b"Accept, Cookie"]
            closed = await ask(b"Cache-Control: no-store")
            assert (len(values(closed, b"Set-Cookie")), values(closed, b"Cache-Control")) == (1, [b"no-store"])
            shared = await ask(b"Cache-Control: public, max-age=60", b"Vary: Accept")
            assert values(shared, b"Set-Cookie") == []
            assert values(shared, b"Cache-Control") == [b"public, max-age=60"]
            assert values(shared, b"Vary") == [b"Accept"]

    run(test())


def test_chunks_and_answers_that_end_with_the_connection_are_treated_alike() -> None:
    async def test() -> None:
        async with running_cluster(**STICKY) as w:
            for rest in (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"\r\nok"):

                async def behave(
                    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes = rest
                ) -> None:
                    await read_head(reader)
                    writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\n" + rest)
                    writer.write_eof()

                w.stable.behaviour = w.canary.behaviour = behave
                assert values(await w.ask(GET), b"Cache-Control") == [b"no-cache, private"]

    run(test())


def test_a_client_that_has_its_cookie_gets_no_other_and_vary_all_the_same() -> None:
    async def test() -> None:
        async with running_cluster(**STICKY) as w:
            known = GET.replace(b"\r\n\r\n", b"\r\nCookie: canaryproxy=0123456789abcdef\r\n\r\n")
            answer = await w.ask(known)
            assert (values(answer, b"Set-Cookie"), values(answer, b"Cache-Control"), values(answer, b"Vary")) == (
                [],
                [],
                [b"Cookie"],
            )

    run(test())


def test_who_does_not_send_the_field_gets_an_answer_that_varies_too() -> None:
    async def test() -> None:
        async with running_cluster(rules=(TESTERS,)) as w:
            plain = await w.ask(GET)
            tester = await w.ask(GET.replace(b"\r\n\r\n", b"\r\nX-Tester: 1\r\n\r\n"))
            assert len(w.canary.heads) == 1
            assert values(plain, b"Vary") == values(tester, b"Vary") == [b"X-Tester"]
        async with running_cluster(rules=(TESTERS,), aborted=True) as w:
            assert values(await w.ask(GET), b"Vary") == []
        async with running_cluster(affinity=COOKIE) as w:
            answer = await w.ask(GET)
            assert (values(answer, b"Vary"), len(values(answer, b"Set-Cookie"))) == ([], 1)

    run(test())


def test_what_the_config_asks_for_is_sent_on_shared_answers_too() -> None:
    async def test() -> None:
        async with running_cluster(**STICKY, caching=Caching(cookie=True, vary_cookie=True)) as w:
            w.stable.behaviour = w.canary.behaviour = w.stable.answering(saying(b"Cache-Control: public"))
            answer = await w.ask(GET)
            assert (len(values(answer, b"Set-Cookie")), values(answer, b"Vary")) == (1, [b"Cookie"])
            assert values(answer, b"Cache-Control") == [b"public"]

    run(test())


def test_an_answer_by_the_other_version_and_one_of_our_own_vary_as_all_others_do() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(saying(status=b"500 Oops"))

    async def test() -> None:
        tester = GET.replace(b"\r\n\r\n", b"\r\nX-Tester: 1\r\n\r\n")
        async with running_cluster(rules=(TESTERS,), shield=Shield(5.0, 10_000)) as w:
            w.canary.behaviour = refuse
            answer = await w.ask(tester)
            assert (answer[9:12], values(answer, b"Vary")) == (b"200", [b"X-Tester"])
        async with running_cluster(rules=(TESTERS,), fallback=frozenset()) as w:

            async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await read_head(reader)
                writer.write(b"HTTP/1.1 99")

            w.canary.behaviour = leave
            answer = await w.ask(tester)
            assert (answer[9:12], values(answer, b"Vary")) == (b"502", [b"X-Tester"])
            assert values(answer, b"Cache-Control") == [b"no-store"]

    run(test())


def test_a_switch_of_protocols_and_what_comes_before_an_answer() -> None:
    async def hinting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + saying())

    async def test() -> None:
        async with running_cluster(**STICKY) as w:
            w.stable.behaviour = w.canary.behaviour = hinting
            interim, _, final = (await w.ask(GET)).partition(b"\r\n\r\n")
            assert not re.search(rb"Vary|Cookie|Cache-Control", interim)
            assert values(final, b"Cache-Control") == [b"private"]
            w.stable.behaviour = w.canary.behaviour = echo
            reader, writer = await w.connect()
            writer.write(ASK)
            head = await read_head(reader)
            assert (head[9:12], len(values(head, b"Set-Cookie"))) == (b"101", 1)

    run(test())
