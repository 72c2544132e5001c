"""What endpoints tell of themselves, over real sockets and in the format of Prometheus."""

import asyncio
import gzip

import pytest
from aiohttp import web

from canaryproxy.config.schema.sources import ResourceConfig
from canaryproxy.dataplane.tls import client_context
from canaryproxy.model.table import Endpoint
from canaryproxy.probes import scrape
from canaryproxy.probes.http_client import REFUSED, Call
from canaryproxy.probes.scrape import MAX_LINE_BYTES, SampleFilter, SampleValues, ScrapeError, fetch, over_http
from tests.support.hostile import hostile
from tests.support.silent import silent

TEXT = """# HELP process_cpu_seconds_total CPU
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total{mode="user"} 1.5
process_cpu_seconds_total{mode="system"} 0.5
process_cpu_seconds_total_of_others 9
process_start_time_seconds 1700000000
broken{ line
"""


async def reported(text: str, name: str, pieces: int = 1_000_000) -> SampleValues:
    wanted, data = SampleFilter(name), text.encode()
    for start in range(0, len(data), pieces):
        wanted.feed(data[start : start + pieces])
    wanted.end()
    return await wanted.values()


@pytest.mark.parametrize("pieces", [1, 7, 1_000_000])
async def test_samples_of_a_metric_are_added_up_and_others_not_even_read(pieces: int) -> None:
    assert await reported(TEXT, "process_cpu_seconds_total", pieces) == (2.0, 1.7e9)
    assert await reported("rss 5\n", "rss", pieces) == (5.0, None)
    assert await reported('rss 5\r\nrss{a="b"}\t1', "rss", pieces) == (6.0, None)
    assert await reported(f'rss_more{{a="{"x" * 10_000}"}} 1\nrss 5\nrss_of_others 7\n', "rss", pieces) == (5.0, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no metric rss"),
        ("rss NaN", "rss is nan"),
        ("rss five", "invalid Prometheus format"),
        ("rss{a 5", "invalid Prometheus format"),
        ('rss{a="b",a="c"} 5', "invalid Prometheus format"),
        (f'rss{{a="{"x" * MAX_LINE_BYTES}"}} 5', "a line of rss is longer than 4096 bytes"),
        ("rss 1\n" * 10_001, "too many samples of rss: more than 10000 samples, or 1024 KiB of them"),
        (f'rss{{a="{"x" * 4000}"}} 5\n' * 300, "too many samples of rss"),
    ],
)
async def test_what_is_garbled_or_too_much_is_no_answer(text: str, words: str) -> None:
    for pieces in (1009, 1_000_000):
        with pytest.raises(ScrapeError, match=words):
            await reported(text, "rss", pieces)


async def test_an_error_of_the_parser_is_one_short_line_without_control_characters() -> None:
    with pytest.raises(ScrapeError) as caught:
        await reported(f"rss \x1b[31m{'x' * 3000}", "rss")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


async def test_what_is_kept_is_parsed_in_steps_between_which_others_have_their_turn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count())
    assert await reported('rss{a="b"} 1\n' * 9_000, "rss") == (9_000.0, None)
    counting.cancel()
    assert turns > 20


async def serve(answer: str | int) -> tuple[web.AppRunner, int, list[web.Request]]:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text=answer) if isinstance(answer, str) else web.Response(status=answer, text="not\nhere")

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1], asked


async def test_an_endpoint_is_asked_by_its_name_on_a_connection_of_its_own() -> None:
    runner, port, asked = await serve(TEXT)
    scrape = over_http(client_context)
    resource = ResourceConfig(name="cpu", counter="process_cpu_seconds_total", scrape="/stats")
    assert await scrape(Endpoint("127.0.0.1", port, "shop"), resource) == (2.0, 1.7e9)
    other = ResourceConfig(name="cpu", gauge="process_start_time_seconds", port=port)
    assert (await scrape(Endpoint("127.0.0.1", 1), other))[0] == 1.7e9
    await runner.cleanup()
    assert [(one.path, one.headers["Connection"]) for one in asked] == [("/stats", "close"), ("/metrics", "close")]
    assert [one.host for one in asked] == [f"shop:{port}", f"127.0.0.1:{port}"]


async def test_who_refuses_or_errs_or_says_too_much_is_reported_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, port, _ = await serve(404)
    with pytest.raises(ScrapeError, match="HTTP status 404: not here"):
        await fetch(Call(f"http://127.0.0.1:{port}/", {}, 5))
    await runner.cleanup()
    with pytest.raises(ScrapeError, match="connection refused"):
        await fetch(Call(f"http://127.0.0.1:{port}/", {}, 5))
    runner, port, _ = await serve("rss 1\n" + "x" * 200_000)
    with pytest.raises(ScrapeError, match="response exceeds 128 KiB"):
        await fetch(Call(f"http://127.0.0.1:{port}/", {}, 5))
    resource = ResourceConfig(name="rss", gauge="rss")
    assert await over_http(client_context)(Endpoint("127.0.0.1", port), resource) == (1.0, None)
    monkeypatch.setattr(scrape, "MAX_BYTES", 100_000)
    with pytest.raises(ScrapeError, match="response exceeds 97 KiB"):
        await over_http(client_context)(Endpoint("127.0.0.1", port), resource)
    await runner.cleanup()


@pytest.mark.parametrize("how", ["gzip", "deflate", "br"])
async def test_what_is_compressed_is_not_even_begun_whatever_it_would_become(how: str) -> None:
    body = gzip.compress(b"rss 1\n" * 10_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (how.encode(), len(body))
    before = REFUSED["encoded"]
    async with hostile(head + body) as port:
        with pytest.raises(ScrapeError, match=f"unrequested content encoding {how}"):
            await over_http(client_context)(Endpoint("127.0.0.1", port), ResourceConfig(name="rss", gauge="rss"))
    assert REFUSED["encoded"] == before + 1


async def test_who_trickles_has_no_more_time_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "TIMEOUT_SECONDS", 0.2)
    async with hostile(b"HTTP/1.1 200 OK\r\n\r\n", b"r", gap=0.01) as port:
        with pytest.raises(ScrapeError, match=r"no response within 0.2 s"):
            await over_http(client_context)(Endpoint("127.0.0.1", port), ResourceConfig(name="rss", gauge="rss"))


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with silent() as port:
        with pytest.raises(ScrapeError, match=r"no response within 0.05 s"):
            await fetch(Call(f"http://127.0.0.1:{port}/", {}, 0.05))


async def test_a_page_that_is_not_prometheus_s_is_quoted_in_a_line_of_bounded_length() -> None:
    with pytest.raises(ScrapeError) as caught:
        await reported("cpu{\x1b[31m\u202e" + "x" * 100_000 + "\n", "cpu")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 250
