"""The request id, from its origin to client, version and log. H77."""

import asyncio
import re

import pytest

from canaryproxy.model.settings import Limits
from canaryproxy.telemetry.record.access_log import AccessLogEntry
from tests.dataplane.test_attempts import read_and_refuse
from tests.dataplane.test_resource_exhaustion import busy
from tests.dataplane.test_tunnel import ASK, SWITCH
from tests.support.cluster import GET, OK, STAY, read_head, run, running_cluster


def ids(head: bytes) -> list[bytes]:
    return re.findall(rb"\r\n(?i:X-Request-Id): ([^\r]*)\r\n", head)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"OPTIONS", b"BREW"])
@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Not Modified", b"404 Not Found", b"500 Oops"])
def test_client_version_and_log_get_one_id(method: bytes, status: bytes) -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(access_log=entries.append) as w:
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            for field in (b"", b"X-Request-Id: mine\r\n"):
                answer = await w.ask(GET.replace(b"GET", method).replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n"))
                assert ids(answer) == ids(w.stable.heads[-1]) == [entries[-1].request_id]
                assert field == b"" or ids(answer) == [b"mine"]

    run(test())


def test_an_id_of_the_origins_own_is_kept_and_the_log_has_the_one_it_was_sent() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(access_log=entries.append) as w:
            w.stable.behaviour = w.stable.answering(OK.replace(b"Content", b"x-request-id: theirs\r\nContent"))
            assert ids(await w.ask(GET)) == [b"theirs"]
            assert [entries[0].request_id] == ids(w.stable.heads[0])
            assert entries[0].request_id != b"theirs"

    run(test())


def test_every_answer_of_our_own_has_an_id_that_the_log_has_too() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(hosts=("shop.test",), access_log=entries.append, limits=Limits(uri_bytes=64)) as w:
            w.stable.behaviour = read_and_refuse
            asked = [
                GET,
                GET.replace(b"shop", b"other"),
                b"nonsense\r\n\r\n",
                GET.replace(b"GET", b"TRACE"),
                GET.replace(b"/ ", b"/" + b"a" * 100 + b" "),
                GET.replace(b"HTTP/1.1", b"HTTP/2.0"),
                GET.replace(b"GET / ", b"OPTIONS / ").replace(b"\r\n\r\n", b"\r\nMax-Forwards: 0\r\n\r\n"),
                GET.replace(b"\r\n\r\n", b"\r\nX-Request-Id: mine\r\nVia: 1.1 canaryproxy-test\r\n\r\n"),
            ]
            answers = [await w.ask(one) for one in asked]
            assert [answer[9:12] for answer in answers] == [
                b"502",
                b"404",
                b"400",
                b"405",
                b"414",
                b"505",
                b"200",
                b"508",
            ]
            assert [ids(answer) for answer in answers] == [[entry.request_id] for entry in entries]
            assert ids(answers[-1]) == [b"mine"]
            assert all(b"\r\nCache-Control: no-store\r\n" in answer for answer in answers if answer[9:12] != b"200")

    run(test())


def test_one_connection_too_many_is_turned_away_with_an_id() -> None:
    async def test() -> None:
        async with running_cluster(limits=Limits(max_connections=1)) as w:
            await busy(w)
            assert len(ids(await w.ask(b""))) == 1

    run(test())


def test_an_interim_response_has_none_and_a_switch_of_protocols_one() -> None:
    async def hinting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            writer.write(b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + (SWITCH if b"Upgrade" in head else OK))

    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = hinting
            for asked, status in ((STAY, b"200"), (ASK, b"101")):
                reader, writer = await w.connect()
                writer.write(asked)
                assert ids(await read_head(reader)) == []
                final = await read_head(reader)
                assert (final[9:12], len(ids(final))) == (status, 1)

    run(test())


def test_a_repeated_attempt_carries_the_same_id() -> None:
    """H27."""

    async def test() -> None:
        async with running_cluster(weight=10_000, add_version=True) as w:
            seen: list[bytes] = []

            async def once(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
                seen.append(await read_head(reader))

            w.canary.behaviour = once
            answer = await w.ask(GET)
            assert ids(answer) == ids(w.stable.heads[0]) == ids(seen[0])

    run(test())
