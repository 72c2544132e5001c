"""The access log as the data plane writes it. H71."""

import asyncio

from canaryproxy.model.settings import Timeouts
from canaryproxy.telemetry.record.access_log import AccessLogEntry
from tests.dataplane.test_attempts import read_and_refuse
from tests.dataplane.test_tunnel import echo, gone, tunnel
from tests.support.cluster import GET, STAY, read_head, read_response, run, running_cluster


def test_an_exchange_is_one_line_with_all_that_was_decided_and_measured() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(weight=10_000, access_log=entries.append) as w:
            reader, writer = await w.connect()
            writer.write(b"PUT /a?b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\nX-Request-Id: abc\r\n\r\nxyz")
            await read_response(reader)
            (entry,) = entries
            assert entry[1:9] == (b"127.0.0.1", b"127.0.0.1", b"PUT", b"shop.test", b"/a?b", 11, b"http", 200)
            assert entry[9:12] == ("shop", "canary", "weight")
            assert entry.endpoint.endswith(f":{w.canary_port}")
            assert (entry.attempts, entry.received, entry.sent, entry.outcome) == (1, 3, 2, "success")
            assert (entry.flags, entry.request_id) == ((), b"abc")
            assert entry.upstream is not None
            assert 0 < entry.upstream < entry.duration < 5
            assert entry.connect > 0
            assert entry.at > 1.7e9

    run(test())


def test_a_rescue_says_so_and_names_who_answered() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(weight=10_000, access_log=entries.append) as w:
            w.canary.behaviour = read_and_refuse
            await w.ask(GET)
            (entry,) = entries
            assert (entry.status, entry.version, entry.outcome, entry.attempts) == (200, "canary", "reset", 2)
            assert entry.flags == ("retry", "fallback")
            assert entry.endpoint.endswith(f":{w.stable_port}")
            assert entry.upstream is None

    run(test())


def test_a_request_that_reaches_no_decision_is_logged_too() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []
        async with running_cluster(hosts=("shop.test",), access_log=entries.append) as w:
            await w.ask(GET.replace(b"shop.test", b"else.test"))
            await w.ask(b"nonsense\r\n\r\n")
            await w.ask(GET.replace(b"GET / ", b"OPTIONS / ").replace(b"\r\n\r\n", b"\r\nMax-Forwards: 0\r\n\r\n"))
            assert [(entry.status, entry.target, entry.route) for entry in entries] == [
                (404, b"/", ""),
                (400, b"", ""),
                (200, b"/", ""),
            ]

    run(test())


def test_a_client_that_leaves_is_a_499_and_a_tunnel_is_logged_at_its_end() -> None:
    async def test() -> None:
        entries: list[AccessLogEntry] = []

        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_head(reader)
            asked.set()
            await reader.read()

        async with running_cluster(access_log=entries.append, timeouts=Timeouts(half_close=0.1)) as w:
            asked = asyncio.Event()
            w.stable.behaviour = silent
            _, writer = await w.connect()
            writer.write(STAY)
            await asked.wait()
            writer.transport.abort()
            await w.counted("client_abort")
            assert [entry.status for entry in entries] == [499]
            w.stable.behaviour = echo
            reader, writer = await tunnel(w)
            writer.write(b"hello")
            await reader.readexactly(7)
            assert len(entries) == 1
            writer.close()
            await gone(w)
            entry = entries[1]
            assert (entry.status, entry.flags, entry.received) == (101, ("tunnel",), 5)
            assert entry.sent >= 7

    run(test())
