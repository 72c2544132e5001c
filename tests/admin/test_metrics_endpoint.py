"""Hundreds of scrapers cost one rendering, and no change of traffic waits for them. Over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import metrics_endpoint, receive_window
from canaryproxy.admin.app import admin_application, probes_application, scrapes_of
from canaryproxy.telemetry.read import exposition
from canaryproxy.telemetry.read.exposition import ExpositionPiece, render
from canaryproxy.telemetry.read.metrics import InstanceFacts
from tests.support.admin import Api, until

Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]

MANY = "".join(f"  r{n}: {{hosts: [r{n}.test], stable: 'http://127.0.0.1:1'}}\n" for n in range(60))


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each rendering that was begun: its pieces."""
    begun: list[int] = []

    def counted(facts: InstanceFacts) -> Iterator[ExpositionPiece]:
        begun.append(0)
        mine = len(begun) - 1
        for piece in render(facts):
            begun[mine] += 1
            yield piece

    monkeypatch.setattr(exposition, "render", counted)
    return begun


async def test_two_hundred_scrapers_of_both_ports_share_one_rendering_and_the_rest_come_again(
    aiohttp_client: Client, rendered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "MAX_PER_ADDRESS", 30)
    api = await Api(route=MANY).start()
    shared = scrapes_of(api.knowledge)
    clients = [
        await aiohttp_client(probes_application(api.knowledge, shared)),
        await aiohttp_client(admin_application(api.knowledge, api.gate, shared)),
    ]

    async def scrape(number: int) -> tuple[int, str, str]:
        accept = "application/openmetrics-text" if number % 3 == 0 else ""
        response = await clients[number % 2].get("/metrics", headers={"Accept": accept})
        return response.status, response.headers.get("Retry-After", ""), await response.text()

    answers = await asyncio.gather(*map(scrape, range(200)))
    served = [text for status, _, text in answers if status == 200]
    assert len(rendered) == 1
    assert len(served) >= 30
    assert len(set(served)) == 2
    refused = [(again, text) for status, again, text in answers if status == 503]
    assert len(served) + len(refused) == 200
    assert all(again == "1" and "urn:canaryproxy:problem:too-many-readers" in text for again, text in refused)
    api.clock += metrics_endpoint.CACHE_SECONDS
    text = await (await clients[0].get("/metrics")).text()
    assert f'canaryproxy_admin_refused_total{{what="metrics"}} {len(refused)}.0' in text
    assert len(rendered) == 2


async def test_a_weight_changes_while_a_rendering_is_under_way_and_before_its_next_piece(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "TURN_SECONDS", 0.0)
    api = await Api(route=MANY).start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    made: list[float] = []
    weights: list[int] = []

    def watched(facts: InstanceFacts) -> Iterator[ExpositionPiece]:
        for piece in render(facts):
            weights.append(api.ledger.state["shop"].weight)
            made.append(api.rollouts.precedence._changes)
            yield piece

    monkeypatch.setattr(exposition, "render", watched)
    scraping = asyncio.get_running_loop().create_task(client.get("/metrics"))
    await until(lambda: len(made) > 3)
    response = await client.put("/api/v1/routes/shop/weight", json={"canary": 50})
    assert response.status == 200
    assert not scraping.done() or len(made) > 3
    assert (await scraping).status == 200
    assert set(made) == {0}
    assert weights == sorted(weights)


async def test_who_changes_a_weight_sees_it_in_the_next_scrape(aiohttp_client: Client, rendered: list[int]) -> None:
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    for weight in (10, 20, 30):
        await (await client.get("/metrics")).text()
        assert (await client.put("/api/v1/routes/shop/weight", json={"canary": weight})).status == 200
        for _ in range(3):
            text = await (await client.get("/metrics")).text()
            assert f'canaryproxy_weight{{route="shop",version="canary"}} {weight}.0' in text
            assert f"canaryproxy_generation {api.tables.generation}.0" in text
    assert len(rendered) == 4


async def test_counters_never_go_back_whatever_form_is_asked_for(aiohttp_client: Client) -> None:
    api = await Api().start()
    client = await aiohttp_client(probes_application(api.knowledge))
    last = 0.0
    for number in range(40):
        api.served("stable", 7)
        api.clock += 0.3
        accept = ("", "application/openmetrics-text", "text/plain;version=1.0.0")[number % 3]
        text = await (await client.get("/metrics", headers={"Accept": accept})).text()
        line = next(
            one for one in text.splitlines() if 'code="200",route="shop",version="stable"' in one and "requests" in one
        )
        now = float(line.split()[-1])
        assert now >= last
        last = now
    assert last >= 7 * 35


async def test_a_rendering_that_breaks_is_a_500_for_all_who_wait_and_the_next_asker_gets_a_new_one(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(facts: InstanceFacts) -> Iterator[ExpositionPiece]:
        yield next(render(facts))
        raise RuntimeError("entrails")

    api = await Api().start()
    client = await aiohttp_client(probes_application(api.knowledge))
    monkeypatch.setattr(exposition, "render", broken)
    answers = await asyncio.gather(*(client.get("/metrics") for _ in range(5)))
    texts = [await one.text() for one in answers]
    assert [one.status for one in answers] == [500] * 5
    assert all(one.content_type == "application/problem+json" for one in answers)
    assert not any("entrails" in text for text in texts)
    assert caplog.text.count("RuntimeError: entrails") == 1
    monkeypatch.setattr(exposition, "render", render)
    assert (await client.get("/metrics")).status == 200


async def test_head_renders_nothing_and_says_what_get_would_be(aiohttp_client: Client, rendered: list[int]) -> None:
    api = await Api().start()
    client = await aiohttp_client(probes_application(api.knowledge))
    response = await client.head("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert (response.status, rendered) == (200, [])
    assert response.headers["Content-Type"] == exposition.OPENMETRICS.content_type
    got = await client.get("/metrics")
    assert int(got.headers["Content-Length"]) == len(await got.read())


async def test_requests_in_a_row_on_one_connection_are_answered_in_order(
    aiohttp_client: Client, rendered: list[int]
) -> None:
    api = await Api().start()
    client = await aiohttp_client(probes_application(api.knowledge))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    for method, path in (("GET", "/metrics"), ("HEAD", "/metrics"), ("GET", "/metrics"), ("GET", "/healthz")):
        close = "Connection: close\r\n" if path == "/healthz" else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{close}\r\n".encode())
    said = await reader.read()
    assert said.count(b"HTTP/1.1 200 OK") == 4
    assert said.count(b"# TYPE canaryproxy_workers gauge") == 2
    assert said.endswith(b'{"status": "alive"}')
    assert len(rendered) == 1
    writer.close()


async def test_who_asks_and_goes_leaves_no_rendering_behind_that_another_would_begin_again(
    aiohttp_client: Client, rendered: list[int]
) -> None:
    api = await Api(route=MANY).start()
    client = await aiohttp_client(probes_application(api.knowledge))
    for _ in range(10):
        _, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await writer.drain()
        writer.transport.abort()
    await until(lambda: len(rendered) == 1)
    assert (await client.get("/metrics")).status == 200
    assert len(rendered) == 1


async def test_who_does_not_read_keeps_no_old_rendering_once_they_are_too_much(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch, rendered: list[int]
) -> None:
    class Long(exposition.Exposition):
        def blocks(self, _: exposition.ExpositionFormat) -> Iterator[bytes]:
            yield from [b"x" * 1_000_000] * 20

        def length(self, _: exposition.ExpositionFormat) -> int:
            return 20_000_000

        @property
        def size(self) -> int:
            return 20_000_000

    monkeypatch.setattr(metrics_endpoint, "Exposition", Long)
    monkeypatch.setattr(receive_window, "PIECE_TIMEOUT_SECONDS", 60.0)
    api = await Api().start()
    shared = scrapes_of(api.knowledge)
    client = await aiohttp_client(probes_application(api.knowledge, shared))
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readline()
    await until(lambda: repr(shared) == "<MetricsEndpoint, 1 are sent>")
    api.clock += 2
    assert len(await (await client.get("/metrics")).read()) == 20_000_000
    await until(lambda: repr(shared) == "<MetricsEndpoint, 0 are sent>")
    assert len(rendered) == 2
    writer.close()


async def test_who_trickles_is_given_up_after_a_while_in_all(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_window, "RESPONSE_TIMEOUT_SECONDS", 0.2)
    api = await Api(route=MANY).start()
    shared = scrapes_of(api.knowledge)
    client = await aiohttp_client(probes_application(api.knowledge, shared))
    _, writer = await asyncio.open_connection(client.host, client.port, limit=64)

    class Endless(exposition.Exposition):
        def blocks(self, _: exposition.ExpositionFormat) -> Iterator[bytes]:
            while True:
                yield b"x" * 100_000

        def length(self, _: exposition.ExpositionFormat) -> int:
            return 1 << 40

    monkeypatch.setattr(metrics_endpoint, "Exposition", Endless)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await until(lambda: repr(shared) == "<MetricsEndpoint, 1 are sent>")
    await until(lambda: repr(shared) == "<MetricsEndpoint, 0 are sent>")
    writer.close()


async def test_who_does_not_read_gives_way_to_one_more_of_the_same_address(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address Prometheus stands beside others: they cannot keep it out by not reading."""

    class Long(exposition.Exposition):
        def blocks(self, _: exposition.ExpositionFormat) -> Iterator[bytes]:
            yield from [b"x" * 1_000_000] * 20

        def length(self, _: exposition.ExpositionFormat) -> int:
            return 20_000_000

    monkeypatch.setattr(metrics_endpoint, "Exposition", Long)
    monkeypatch.setattr(metrics_endpoint, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(receive_window, "PIECE_TIMEOUT_SECONDS", 60.0)
    api = await Api().start()
    shared = scrapes_of(api.knowledge)
    client = await aiohttp_client(probes_application(api.knowledge, shared))
    silent = [
        await asyncio.open_connection(client.host, client.port, limit=1024)
        for _ in range(metrics_endpoint.MAX_PER_ADDRESS)
    ]
    for _, writer in silent:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await until(lambda: repr(shared) == f"<MetricsEndpoint, {metrics_endpoint.MAX_PER_ADDRESS} are sent>")
    assert (await client.get("/metrics")).status == 503, "none of them has been slow for long"
    await asyncio.sleep(0.25)
    response = await client.get("/metrics")
    assert response.status == 200
    assert len(await response.read()) == 20_000_000
    for _, writer in silent:
        writer.close()
