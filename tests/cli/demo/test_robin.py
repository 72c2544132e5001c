"""The primitive way: each connection to the next replica."""

import asyncio
from collections import Counter

from canaryproxy.cli.demo.robin import Robin


async def test_connections_go_round_and_bytes_pass_both_ways() -> None:
    ports: list[int] = []
    seen: Counter[int] = Counter()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen[writer.get_extra_info("sockname")[1]] += 1
        writer.write(await reader.read())
        writer.close()

    servers = [await asyncio.start_server(echo, "127.0.0.1", 0) for _ in range(3)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    robin = Robin(ports)
    port = await robin.start()
    for number in range(9):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello %d" % number)
        writer.write_eof()
        assert await reader.read() == b"hello %d" % number
        writer.close()
    assert seen == dict.fromkeys(ports, 3)
    await robin.stop()
    for server in servers:
        server.close()


async def test_a_replica_that_is_gone_ends_the_connection() -> None:
    robin = Robin([1])
    reader, writer = await asyncio.open_connection("127.0.0.1", await robin.start())
    assert await reader.read() == b""
    writer.close()
    await robin.stop()
    await Robin([]).stop()
