"""What endpoints tell of themselves, over real sockets and in the format of Prometheus."""

import pytest
from aiohttp import web

from canaryproxy.config.sources import ResourceConfig
from canaryproxy.control import scraping
from canaryproxy.control.scraping import NoAnswer, fetch, over_http, told
from canaryproxy.model.table import Endpoint
from canaryproxy.proxy.tls import client_context
from tests.support.silent import silent

TEXT = """# HELP process_cpu_seconds_total CPU
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total{mode="user"} 1.5
process_cpu_seconds_total{mode="system"} 0.5
process_cpu_seconds_total_of_others 9
process_start_time_seconds 1700000000
broken{ line
"""


def test_samples_of_a_metric_are_added_up_and_others_not_even_read() -> None:
    assert told(TEXT, "process_cpu_seconds_total") == (2.0, 1.7e9)
    assert told("rss 5\n", "rss") == (5.0, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it tells no rss"),
        ("rss NaN", "its rss is nan"),
        ("rss five", "does not speak"),
        ("rss{a 5", "does not speak"),
    ],
)
def test_what_is_garbled_is_no_answer(text: str, words: str) -> None:
    with pytest.raises(NoAnswer, match=words):
        told(text, "rss")


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


async def test_who_refuses_or_errs_or_says_too_much_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, port, _ = await serve(404)
    with pytest.raises(NoAnswer, match="it answered 404: not here"):
        await fetch(f"http://127.0.0.1:{port}/", {}, 5)
    monkeypatch.setattr(scraping, "MOST_BYTES", 4)
    with pytest.raises(NoAnswer, match="it answered with more than"):
        await fetch(f"http://127.0.0.1:{port}/", {}, 5)
    await runner.cleanup()
    with pytest.raises(NoAnswer, match="it refused the connection"):
        await fetch(f"http://127.0.0.1:{port}/", {}, 5)


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with silent() as port:
        with pytest.raises(NoAnswer, match=r"it did not answer within 0.05 s"):
            await fetch(f"http://127.0.0.1:{port}/", {}, 0.05)


def test_a_page_that_is_not_prometheus_s_is_quoted_in_a_line_of_bounded_length() -> None:
    with pytest.raises(NoAnswer) as caught:
        told("cpu{\x1b[31m\u202e" + "x" * 100_000 + "\n", "cpu")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 250
