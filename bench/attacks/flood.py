"""The floods, and the program in C that sends them (`c/flood.c`), on a core, ended with its input."""

import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from bench.attacks.figures import Pulse
from bench.processes import program
from bench.race.compile import compiled

SOURCES = Path(__file__).with_name("c")
STRANGERS, ADDRESSES = "127.0.1.1", 250
"""Sources of the variant that shares no address: so many from here on."""

SILENT = 22_000
"""20,000 are accepted: some are dropped while the accept queue is full, and one that is silent never learns it."""


@dataclass(frozen=True, slots=True)
class Flood:
    """One kind. `port`: of the subject: listen, tls, admin or probes. `sends`: a word that `request` knows."""

    name: str
    item: str
    sentence: str
    port: str
    count: int
    way: str
    sends: str
    broken: str
    """What breaks at the base: health, weight, newcomers or memory."""


FLOODS = (
    Flood("probes", "1", "22,000 silent connections on the probes port", "probes", SILENT, "hold", "", "health"),
    Flood("admin", "1", "22,000 silent connections on the admin port", "admin", SILENT, "hold", "", "weight"),
    Flood("scrapers", "2", "200 scrapers of /metrics on the admin port, without a pause, a connection each time",
          "admin", 200, "once", "metrics", "weight"),
    Flood("scrapers-probes", "2", "200 scrapers of /metrics on the probes port, without a pause, a connection "
          "each time", "probes", 200, "once", "metrics", "health"),
    Flood("idle", "4", "10,000 idle keep-alive connections", "listen", 10_000, "hold", "small", "newcomers"),
    Flood("handshakes", "5", "9,000 half TLS handshakes", "tls", 9_000, "hold", "hello", "memory"),
    Flood("readers", "5", "2,500 slow readers of 10 MiB", "listen", 2_500, "trickle", "large", "memory"),
    Flood("heads", "5", "10,000 half heads of 60 KiB", "listen", 10_000, "hold", "head", "memory"),
)  # fmt: skip
"""Figures as the issue gives them; of silent connections those that are accepted."""


def request(word: str) -> bytes:
    """What a connection of a flood sends."""
    if word == "hello":
        return client_hello()
    if word == "head":
        return b"GET /half HTTP/1.1\r\nHost: shop.example.com\r\n" + b"".join(
            b"X-Filler-%03d: %b\r\n" % (number, b"f" * 1007) for number in range(60)
        )
    path = {"metrics": b"/metrics", "small": b"/", "large": b"/big"}.get(word)
    return b"" if path is None else b"GET %b HTTP/1.1\r\nHost: shop.example.com\r\nAccept: */*\r\n\r\n" % path


def client_hello() -> bytes:
    """The first bytes of a TLS handshake, as OpenSSL sends them."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="shop.example.com").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


class Running:
    """A flood under way. `pulses`: a line for each second."""

    def __init__(self, flood: Flood, port: int, folder: Path, *, shared: bool, core: int | None) -> None:
        words = [
            *((program("taskset"), "-c", str(core)) if core is not None else ()),
            str(compiled("flood", SOURCES)),
            *("--port", str(port), "--count", str(flood.count), "--way", flood.way),
            *(("--address", "127.0.0.1") if shared else ("--address", STRANGERS, "--addresses", str(ADDRESSES))),
        ]
        if flood.sends:
            path = folder / flood.sends
            path.write_bytes(request(flood.sends))
            words += ["--send", str(path)]
        self.pulses: list[Pulse] = []
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.pulses.append(Pulse(*map(int, line.split())))

    def end(self) -> None:
        """Close all of it. Raises `RuntimeError` where the program failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        code = self._process.wait(20)
        self._reader.join(5)
        self._process.stdout.close()
        if code:
            raise RuntimeError(f"the flood ended with {code}")
