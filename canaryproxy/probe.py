"""`canaryproxy probe`: checks on its Unix socket whether the local instance is alive or ready.

Container probes run every few seconds, often on a busy machine and under a CPU limit, so this module imports very
little and `__main__` runs it without the rest of the command line.
"""

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Environment variable with the path of the socket.
SOCKET = "CANARYPROXY_PROBES_SOCKET"
DEFAULT = "probes.sock"

# Seconds for the whole response.
TIMEOUT_SECONDS = 2.0
MAX_TIMEOUT_SECONDS = 600.0

PATHS = {"live": "/healthz", "ready": "/readyz"}
OPTIONS = ("--socket", "--address", "--timeout")
MAX_ANSWER_BYTES = 64 * 1024


class ProbeFailedError(Exception):
    """The instance is not alive or not ready; the message is one line for the user."""


class Question(NamedTuple):
    """A probe: `live` or `ready`, the socket, the timeout in seconds. `address` replaces a missing socket."""

    what: str = "live"
    socket: str = ""
    address: str = ""
    patience: float = TIMEOUT_SECONDS


def placed(path: str, environ: Mapping[str, str]) -> str:
    """The path of the socket: relative to STATE_DIRECTORY (systemd.exec(5)) or the working directory."""
    return os.path.join(environ.get("STATE_DIRECTORY", "").split(":")[0], path)  # noqa: PTH118 - pathlib costs 10 ms


def read(arguments: Sequence[str]) -> Question | None:
    """The probe of simple arguments; None if the whole command line is needed, for help and errors."""
    question = Question()
    rest = list(arguments)
    if rest and rest[0] in PATHS:
        question = question._replace(what=rest.pop(0))
    while rest:
        option, mark, value = rest.pop(0).partition("=")
        if option not in OPTIONS or (not mark and not rest):
            return None
        value = value if mark else rest.pop(0)
        if option == "--timeout":
            seconds = patience(value)
            if seconds is None:
                return None
            question = question._replace(patience=seconds)
        elif option == "--socket":
            question = question._replace(socket=value)
        else:
            question = question._replace(address=value)
    return question


def patience(value: str) -> float | None:
    """Seconds such as `2`, `0.5` or `2s`; None for invalid text."""
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        return None
    return seconds if 0 < seconds <= MAX_TIMEOUT_SECONDS else None


def ask(question: Question, environ: Mapping[str, str]) -> str:
    """Send the probe; returns the result in a word. Raises `ProbeFailedError`."""
    path = placed(question.socket or environ.get(SOCKET, "") or DEFAULT, environ)
    where, family = path, socket.AF_UNIX
    address: str | tuple[str, int] = path
    if question.address and not os.path.exists(path):  # noqa: PTH110 - pathlib costs 10 ms
        where, (family, address) = question.address, _tcp(question.address)
    deadline = time.monotonic() + question.patience
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(question.patience)
            sock.connect(address)
            sock.sendall(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % PATHS[question.what].encode()
            )
            answer = _answer(sock, deadline)
    except TimeoutError:
        raise ProbeFailedError(
            f"{where}: no answer within {question.patience:g} s; it hangs, is stopped, or gets no CPU"
        ) from None
    except BlockingIOError:
        raise ProbeFailedError(f"{where}: its queue is full; it hangs, or is stopped") from None
    except FileNotFoundError:
        raise ProbeFailedError(f"{where}: no such socket; is it running, with `server.probes.socket`?") from None
    except ConnectionRefusedError:
        raise ProbeFailedError(f"{where}: nothing listens there") from None
    except (OSError, ValueError) as error:
        raise ProbeFailedError(f"{where}: {getattr(error, 'strerror', None) or error}") from None
    status = answer.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return {"live": "alive", "ready": "ready"}[question.what]
    raise ProbeFailedError(f"{where}: {_problem(answer)}")


def _tcp(address: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Address family and address of `host:port`. Raises `ProbeFailedError`."""
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ProbeFailedError(f"{address}: expected an address such as 127.0.0.1:9901")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))


def _answer(sock: socket.socket, deadline: float) -> bytes:
    """The whole response. Raises `TimeoutError` after the deadline."""
    answer = b""
    while len(answer) < MAX_ANSWER_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        more = sock.recv(MAX_ANSWER_BYTES)
        if not more:
            break
        answer += more
    return answer


def _problem(answer: bytes) -> str:
    """The error in a response other than 200, in one line."""
    import json  # noqa: PLC0415 - most answers need none

    if not answer:
        return "the connection was closed without an answer; is it ending?"
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode("ascii", "replace").partition(" ")[2]
    if not head.startswith(b"HTTP/1."):
        return "no HTTP answer"
    try:
        detail = json.loads(body).get("detail", "")
    except (ValueError, AttributeError):
        detail = ""
    words = f"{status}: {detail}" if isinstance(detail, str) and detail else status
    return "".join(one if one.isprintable() else "?" for one in words)


def run(question: Question, environ: Mapping[str, str]) -> int:
    """Probe, print one line, and return the exit code: 0 for success, else 1."""
    try:
        print(ask(question, environ), flush=True)
    except ProbeFailedError as error:
        print(f"canaryproxy probe: {error}", file=sys.stderr)
        return 1
    return 0
