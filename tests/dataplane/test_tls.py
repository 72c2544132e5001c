"""TLS on both sides. H67, H68, H69."""

import asyncio
import contextlib
import dataclasses
import ssl
from typing import Any

import pytest

from canaryproxy.dataplane.tls import SniContexts, client_context, in_memory
from canaryproxy.model.certificate import CertificateIdentity, ListenerTls, UpstreamTls
from canaryproxy.model.settings import Timeouts
from canaryproxy.model.table import Endpoint
from canaryproxy.processes.listen import listen_on
from tests.support.authority import Authority
from tests.support.cluster import GET, STAY, Cluster, read_head, read_response, run, running_cluster

OURS = Authority()
THEIRS = Authority()
SHOP, BLOG = OURS.identity("shop.test"), OURS.identity("blog.test", "*.blog.test")


def trusting(authority: Authority = OURS, identity: CertificateIdentity | None = None) -> ssl.SSLContext:
    """A client that trusts an authority and may have a certificate."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if identity is not None:
        with in_memory(identity.cert) as cert, in_memory(identity.key) as key:
            context.load_cert_chain(cert, key)
    return context


async def listen(w: Cluster, tls: ListenerTls) -> int:
    """One more listener of the plane, with TLS."""
    sock = listen_on("127.0.0.1", 0)
    w.plane.listen(sock, tls)
    port: int = sock.getsockname()[1]
    return port


async def connect(
    w: Cluster, port: int, name: str | None, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = context or trusting()
    if name is None:
        context.check_hostname = False
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")
    w.clients.append(writer)
    return reader, writer


def names(writer: asyncio.StreamWriter) -> list[str]:
    shown: Any = writer.get_extra_info("peercert")
    return [value for _, value in shown["subjectAltName"]]


def test_requests_over_tls_are_served_and_the_version_learns_of_it() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await connect(w, await listen(w, ListenerTls((SHOP,))), "shop.test")
            for _ in range(3):
                writer.write(STAY)
                assert (await read_response(reader))[1] == b"ok"
            assert b"\r\nX-Forwarded-Proto: https\r\n" in w.stable.heads[0]
            assert writer.get_extra_info("ssl_object").version() in ("TLSv1.3", "TLSv1.2")

    run(test())


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("shop.test", "shop.test"), ("blog.test", "blog.test"), ("a.blog.test", "blog.test"), (None, "shop.test")],
)
def test_the_name_a_client_asks_for_chooses_the_certificate(asked: str | None, shown: str) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            _, writer = await connect(w, await listen(w, ListenerTls((SHOP, BLOG))), asked)
            assert names(writer)[0] == shown

    run(test())


def test_an_unknown_name_gets_the_first_certificate() -> None:
    terminator = SniContexts(ListenerTls((SHOP, BLOG)))
    assert terminator._find("else.test") is terminator._find("shop.test") is terminator._default
    assert terminator._find("a.b.blog.test") is terminator._default


def test_new_certificates_are_shown_to_new_connections_and_open_ones_go_on() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            port = await listen(w, ListenerTls((SHOP,)))
            reader, writer = await connect(w, port, "shop.test")
            writer.write(STAY)
            await read_response(reader)
            fresh = OURS.identity("shop.test")
            w.plane.update_certificates([None, ListenerTls((fresh,))])
            _, other = await connect(w, port, "shop.test")
            before, after = (one.get_extra_info("peercert")["serialNumber"] for one in (writer, other))
            assert before != after
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"

    run(test())


def test_http_1_1_is_agreed_on_and_h2_is_not() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            port = await listen(w, ListenerTls((SHOP,)))
            for offers, agreed in ((["h2", "http/1.1"], "http/1.1"), (["h2"], None)):
                context = trusting()
                context.set_alpn_protocols(offers)
                _, writer = await connect(w, port, "shop.test", context)
                assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed

    run(test())


def test_a_listener_with_a_client_authority_demands_a_certificate_of_it() -> None:
    async def test() -> None:
        async def served(context: ssl.SSLContext) -> None:
            reader, writer = await connect(w, port, "shop.test", context)
            writer.write(STAY)
            await read_head(reader)

        async with running_cluster() as w:
            port = await listen(w, ListenerTls((SHOP,), OURS.pem))
            reader, writer = await connect(w, port, "shop.test", trusting(identity=OURS.identity("tester.test")))
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"
            for stranger in (trusting(), trusting(identity=THEIRS.identity("tester.test"))):
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await served(stranger)
            assert len(w.stable.heads) == 1

    run(test())


def test_a_new_client_authority_counts_for_new_connections() -> None:
    async def test() -> None:
        async def served(authority: Authority) -> bool:
            try:
                reader, writer = await connect(
                    w, port, "shop.test", trusting(identity=authority.identity("tester.test"))
                )
                writer.write(STAY)
                return (await read_response(reader))[1] == b"ok"
            except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
                return False

        async with running_cluster() as w:
            port = await listen(w, ListenerTls((SHOP,), OURS.pem))
            assert [await served(one) for one in (OURS, THEIRS)] == [True, False]
            w.plane.update_certificates([None, ListenerTls((SHOP,), THEIRS.pem)])
            assert [await served(one) for one in (OURS, THEIRS)] == [False, True]

    run(test())


def test_a_handshake_has_the_time_of_a_head_and_nonsense_is_closed() -> None:
    async def test() -> None:
        async with running_cluster(timeouts=Timeouts(header=0.2)) as w:
            port = await listen(w, ListenerTls((SHOP,)))
            for said in (b"", GET):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(said)
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
            _, listener = w.listeners
            assert listener.pending_count == 0
            assert not w.stable.heads

    run(test())


def test_large_bodies_pass_both_ways_and_a_close_ends_a_response_cleanly() -> None:
    async def test() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            body = await reader.readexactly(3_000_000)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            writer.close()

        async with running_cluster() as w:
            w.stable.behaviour = echo
            reader, writer = await connect(w, await listen(w, ListenerTls((SHOP,))), "shop.test")
            writer.write(b"PUT / HTTP/1.0\r\nHost: shop.test\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
            await read_head(reader)
            assert await reader.read() == b"x" * 3_000_000

    run(test())


# Towards endpoints.


async def secure_origin(
    w: Cluster, identity: CertificateIdentity, client_ca: Authority | None = None
) -> tuple[asyncio.Server, int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with in_memory(identity.cert) as cert, in_memory(identity.key) as key:
        context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.load_verify_locations(cadata=client_ca.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(w.stable.serve, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


def to(w: Cluster, port: int, tls: UpstreamTls) -> None:
    route = w.table.routes[0]
    endpoint = Endpoint("127.0.0.1", port, "shop.internal", tls)
    stable = dataclasses.replace(route.stable, endpoints=(endpoint,))
    w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(route, stable=stable),)), 2)


@pytest.mark.parametrize(
    ("tls", "status"),
    [
        (UpstreamTls("shop.internal", OURS.pem), b"200"),
        (UpstreamTls("shop.internal", THEIRS.pem), b"502"),
        (UpstreamTls("shop.internal"), b"502"),
        (UpstreamTls("other.internal", OURS.pem), b"502"),
    ],
)
def test_an_endpoint_must_show_the_expected_name_signed_by_a_trusted_authority(tls: UpstreamTls, status: bytes) -> None:
    async def test() -> None:
        async with running_cluster() as w:
            server, port = await secure_origin(w, OURS.identity("shop.internal"))
            to(w, port, tls)
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 " + status)
            w.collect()
            assert w.outcomes == ({"success": 1} if status == b"200" else {"connect": 1})
            assert status == b"200" or b"tls_certificate_error" in answer
            server.close()

    run(test())


def test_an_endpoint_that_wants_a_certificate_is_shown_ours() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            server, port = await secure_origin(w, OURS.identity("shop.internal"), OURS)
            to(w, port, UpstreamTls("shop.internal", OURS.pem, OURS.identity("proxy.internal")))
            assert (await w.ask(GET)).endswith(b"ok")
            server.close()

    run(test())


def test_a_websocket_passes_tls_on_both_sides() -> None:
    from tests.dataplane.test_tunnel import ASK, SWITCH

    async def test() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(SWITCH)
            while data := await reader.read(65_536):
                writer.write(data)

        async with running_cluster() as w:
            w.stable.behaviour = echo
            server, port = await secure_origin(w, OURS.identity("shop.internal"))
            to(w, port, UpstreamTls("shop.internal", OURS.pem))
            reader, writer = await connect(w, await listen(w, ListenerTls((SHOP,))), "shop.test")
            writer.write(ASK)
            assert (await read_head(reader)).startswith(b"HTTP/1.1 101 ")
            data = bytes(range(256)) * 4_000
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.close()
            while w.plane.tunnels:
                await asyncio.sleep(0.01)
            server.close()

    run(test())


def test_contexts_are_made_once() -> None:
    tls = UpstreamTls("a", OURS.pem)
    assert client_context(tls) is client_context(UpstreamTls("a", OURS.pem))


def test_a_handshake_with_an_endpoint_is_part_of_opening_the_connection() -> None:
    """H48 H69. One that is silent is given up, and its connection closed."""

    async def test() -> None:
        async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            hello.append(await reader.read(1))
            await reader.read()

        hello: list[bytes] = []
        async with running_cluster(connect_timeout=0.2) as w:
            w.canary.behaviour = mute
            to(w, w.canary_port, UpstreamTls("shop.internal", OURS.pem))
            answer = await w.ask(GET)
            assert b"504 Gateway Timeout: connection_timeout" in answer
            await w.canary.closed.wait()
            assert hello == [b"\x16"]
            w.collect()
            assert w.outcomes == {"timeout": 1}

    run(test())


@pytest.mark.parametrize("certified", [True, False])
def test_the_log_says_why_a_handshake_failed(certified: bool, caplog: pytest.LogCaptureFixture) -> None:
    """H69."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 No TLS here\r\n\r\n")
        await asyncio.sleep(1)

    async def test() -> None:
        async with running_cluster() as w:
            server, port = await secure_origin(w, OURS.identity("shop.internal"))
            to(w, port if certified else w.canary_port, UpstreamTls("other.internal", OURS.pem))
            w.canary.behaviour = plain
            await w.ask(GET)
            server.close()

    run(test())
    (found,) = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert found["error"] == "tls_certificate_error"
    assert ("Hostname mismatch" if certified else "WRONG_VERSION_NUMBER") in found["reason"]
