"""Client of a running instance's admin API: its URL, calls, and problems as messages for the terminal."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.escape import escaped

if TYPE_CHECKING:
    import aiohttp

ADMIN = "http://127.0.0.1:9900"
# Time for a call.
TIMEOUT_SECONDS = 10.0

# Time for a call that waits for gates (webhooks).
GATED_TIMEOUT_SECONDS = 600.0

# Characters of an error that are shown.
MAX_DETAIL_LENGTH = 2_000

# Limit of a response; the response for a thousand routes has a tenth of it.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024

HINTS = {
    401: "set CANARYPROXY_TOKEN, or give --token",
    403: "use a token with the role write",
    412: "check the current state and try again",
    421: "add that name to server.admin.hosts, or use the IP address",
}

PORT = 9900
HERE = "127.0.0.1"
BAD = frozenset(" \\")
EXPECTED = "expected a URL or an address, such as http://127.0.0.1:9900, :9900 or https://ops.example.com/canary"


def admin_url(text: str) -> str:
    """The URL of an admin API from user input, with defaults. Pure. Raises `typer.BadParameter`."""
    # Without a scheme the port defaults to 9900, in a URL to the port of its scheme.
    written = text.strip()
    if not written or not written.isascii() or not written.isprintable() or not BAD.isdisjoint(written):
        raise typer.BadParameter(EXPECTED)
    if written.isdigit():
        raise typer.BadParameter(f"write :{written} for a port of this machine")
    scheme, mark, rest = written.partition("://")
    if not mark:
        scheme, rest = "http", written
    elif scheme.lower() not in ("http", "https"):
        raise typer.BadParameter(f"only http:// and https:// are supported; {EXPECTED}")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise typer.BadParameter("leave out the user and password before the @; authenticate with --token")
    if "?" in rest or "#" in rest:
        raise typer.BadParameter(f"leave out the query and the fragment; {EXPECTED}")
    return f"{scheme.lower()}://{_authority(authority, bare=not mark)}{slash}{path}".rstrip("/")


def _authority(written: str, *, bare: bool) -> str:
    """Host and port in URL syntax. `bare`: without a scheme."""
    if written.count(":") > 1 and not written.startswith("["):
        raise typer.BadParameter("put an IPv6 address in brackets, like [::1]:9900")
    if written.endswith(":") or (written.startswith(":") and not bare):
        raise typer.BadParameter(EXPECTED)
    try:
        parts = urlsplit(f"//{written}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise typer.BadParameter(EXPECTED) from None
    if port == 0 or (not host and (port is None or not bare)):
        raise typer.BadParameter(EXPECTED)
    if bare:
        host, port = host or HERE, port or PORT
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


Admin = Annotated[
    str, typer.Option(envvar="CANARYPROXY_ADMIN", help="URL, HOST:PORT or :PORT.", parser=admin_url, metavar="URL")
]
Token = Annotated[str | None, typer.Option(envvar="CANARYPROXY_TOKEN", help="Admin API token.", show_envvar=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class RemoteError(Exception):
    """The API answered with an error status, or could not be reached (status None). The message is one line."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Remote:
    """The admin API of one instance."""

    url: str
    token: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Any:
        """Make a call and return its document. Raises `RemoteError`."""
        return asyncio.run(self._answers([(method, path)], body, headers, timeout))[0][0]

    def tagged(self, path: str) -> tuple[Any, str]:
        """GET a document with its entity tag. Raises `RemoteError`."""
        return asyncio.run(self._answers([("GET", path)]))[0]

    def gather(self, *paths: str) -> list[Any]:
        """GET several documents concurrently. Raises `RemoteError`."""
        wanted = [("GET", path) for path in paths]
        return [data for data, _ in asyncio.run(self._answers(wanted))]

    async def _answers(
        self,
        wanted: list[tuple[str, str]],
        body: object = None,
        headers: dict[str, str] | None = None,
        limit: float = TIMEOUT_SECONDS,
    ) -> list[tuple[Any, str]]:
        import aiohttp

        from canaryproxy.probes.failure_reasons import reason_of

        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        total = aiohttp.ClientTimeout(total=limit)
        try:
            async with aiohttp.ClientSession(timeout=total, headers={**given, **(headers or {})}) as session:
                return await asyncio.gather(*(self._call(session, method, path, body) for method, path in wanted))
        except TimeoutError:
            raise RemoteError(f"{self.url} does not answer within {limit:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = reason_of(error, limit)
            raise RemoteError(f"{self.url} cannot be reached: {reason}; is it running? --admin sets its URL") from None

    async def _call(self, session: "aiohttp.ClientSession", method: str, path: str, body: object) -> tuple[Any, str]:
        async with session.request(method, self.url.rstrip("/") + path, json=body, allow_redirects=False) as response:
            # Read in pieces: the address may be anything that answers, without an end.
            data = bytearray()
            async for piece in response.content.iter_any():
                data += piece
                if len(data) > MAX_RESPONSE_BYTES:
                    size = f"{MAX_RESPONSE_BYTES >> 20} MiB"
                    raise RemoteError(f"{self.url} is not canaryproxy: it answered with more than {size}")
            try:
                document = json.loads(data)
            except (ValueError, RecursionError):
                raise RemoteError(f"{self.url} is not canaryproxy: it answered {response.status}") from None
            if response.status >= 400:
                raise RemoteError(refusal(response.status, document), response.status)
            return document, response.headers.get("ETag", "")


def refusal(status: int, data: Any) -> str:
    """A problem document as one line."""
    problem = data if isinstance(data, dict) else {}
    parts = (f"{status} {problem.get('title', 'refused')}", problem.get("detail", ""), HINTS.get(status, ""))
    return escaped("; ".join(part for part in parts if part), MAX_DETAIL_LENGTH)


@contextlib.contextmanager
def exit_on_error(code: int = 1) -> Iterator[None]:
    """Print a `RemoteError` of the block and exit with `code`."""
    try:
        yield
    except RemoteError as error:
        say(str(error), err=True)
        raise typer.Exit(code) from None


def show(data: Any, lines: Callable[[Any], Iterable[str]], *, as_json: bool) -> None:
    """Print a document as JSON, or as `lines` for people."""
    if as_json:
        say_json(data)
    else:
        say(*lines(data))


def segment(name: str) -> str:
    """A name, quoted as one path segment."""
    return quote(name, safe="", errors="surrogatepass")
