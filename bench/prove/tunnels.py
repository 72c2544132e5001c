"""A thousand WebSockets with traffic, over TLS, through reloads and a change of certificates."""

import asyncio
import contextlib
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trustme
from websockets.asyncio.client import ClientConnection, connect

from bench.ports import free_port
from bench.processes import canaryproxy, running, wait_for
from bench.prove import DisprovedError

TUNNELS = 1000
AT_ONCE = 50
SECONDS = 12.0
RELOADS = 10


def websockets() -> str:
    """None of them is dropped."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * TUNNELS), hard))
    return asyncio.run(_websockets())


@contextlib.contextmanager
def proxy(folder: Path, authority: trustme.CA) -> Iterator[tuple["subprocess.Popen[bytes]", int, Path]]:
    """A proxy with TLS before two echo servers; yields process, port and config."""
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(2)]
        for port in ports:
            stack.enter_context(running([sys.executable, "-m", "bench.prove.echo", str(port)], port=port))
        certify(folder, authority)
        listen, path = free_port(), folder / "tunnels.yaml"
        write(path, listen, ports, 50)
        process = subprocess.Popen(canaryproxy(str(path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(listen, process)
            yield process, listen, path
        finally:
            process.kill()
            process.wait()


def certify(folder: Path, authority: trustme.CA) -> None:
    """A fresh certificate in the place of the last one."""
    leaf = authority.issue_cert("prove.test")
    (folder / "key.new").write_bytes(leaf.private_key_pem.bytes())
    (folder / "crt.new").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "key.new").replace(folder / "prove.key")
    (folder / "crt.new").replace(folder / "prove.crt")


def write(path: Path, listen: int, ports: list[int], weight: int) -> None:
    """The config, with another weight."""
    path.with_suffix(".new").write_text(
        f"server: {{listen: [{{address: '127.0.0.1:{listen}', tls: {{certs: "
        f"[{{cert: {path.parent}/prove.crt, key: {path.parent}/prove.key}}]}}}}], "
        "admin: {listen: '127.0.0.1:0'}, state: memory}\n"
        f"stable: http://127.0.0.1:{ports[0]}\ncanary: http://127.0.0.1:{ports[1]}\nweight: {weight}\n"
    )
    path.with_suffix(".new").replace(path)


async def talk(tunnel: ClientConnection, number: int, stop: asyncio.Event) -> int:
    """Messages back and forth until stopped; how many came back."""
    count = 0
    while not stop.is_set():
        said = f"{number}:{count}:" + "x" * 200
        await tunnel.send(said)
        if await tunnel.recv() != said:
            raise DisprovedError(f"tunnel {number} got something else back")
        count += 1
        await asyncio.sleep(0.5)
    return count


async def _websockets() -> str:
    authority = trustme.CA()
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with tempfile.TemporaryDirectory(prefix="prove-") as name, proxy(Path(name), authority) as (process, port, path):
        gate = asyncio.Semaphore(AT_ONCE)

        async def dial() -> ClientConnection:
            async with gate:
                return await connect(
                    f"wss://prove.test:{port}/",
                    host="127.0.0.1",
                    ssl=context,
                    compression=None,
                    ping_interval=None,
                    open_timeout=60,
                )

        tunnels = await asyncio.gather(*(dial() for _ in range(TUNNELS)))
        before = serial(tunnels[0])
        stop = asyncio.Event()
        talking = [asyncio.ensure_future(talk(tunnel, number, stop)) for number, tunnel in enumerate(tunnels)]
        text = path.read_text()
        for number in range(RELOADS):
            await asyncio.sleep(SECONDS / RELOADS)
            if number == RELOADS // 2:
                certify(path.parent, authority)
            path.write_text(text.replace("weight: 50", f"weight: {number * 10}"))
            process.send_signal(signal.SIGHUP)
        await asyncio.sleep(1.5)
        fresh = await dial()
        after = serial(fresh)
        stop.set()
        results = await asyncio.gather(*talking, return_exceptions=True)
        for tunnel in (*tunnels, fresh):
            await tunnel.close()
    dropped = [result for result in results if isinstance(result, BaseException)]
    messages = sum(result for result in results if isinstance(result, int))
    said = (
        f"{TUNNELS:,} tunnels over TLS, {messages:,} messages there and back, {RELOADS} reloads, a new certificate "
        f"shown to newcomers, {len(dropped)} dropped"
    )
    if dropped or before == after:
        raise DisprovedError(f"{said}; {dropped[:3]!r}; new certificate {before != after}")
    return said


def serial(tunnel: ClientConnection) -> object:
    """The serial number of the certificate that a tunnel was shown."""
    shown = tunnel.transport.get_extra_info("peercert")
    return shown["serialNumber"]
