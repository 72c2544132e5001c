"""Talking to a running instance: where it is, who we are, and what its problems mean to a person at a terminal."""

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canaryproxy.cli.admin_url import admin_url
from canaryproxy.cli.output import say
from canaryproxy.escape import escaped

if TYPE_CHECKING:
    import aiohttp

ADMIN = "http://127.0.0.1:9900"
TIMEOUT_SECONDS = 10.0
"""Seconds for a call."""

GATED = 600.0
"""Seconds for one that other people's gates may hold up."""

Admin = Annotated[
    str,
    typer.Option(
        envvar="CANARYPROXY_ADMIN",
        help="Where the admin API is: a URL, HOST:PORT or :PORT.",
        parser=admin_url,
        metavar="URL",
    ),
]
Token = Annotated[
    str | None, typer.Option(envvar="CANARYPROXY_TOKEN", help="Token of the admin API.", show_envvar=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MAX_DETAIL_LENGTH = 2_000
"""Characters of a refusal that are shown."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Bytes of an answer; that of a thousand routes has a tenth of it."""

HINTS = {
    401: "set CANARYPROXY_TOKEN, or give --token",
    403: "use a token with the role write",
    412: "look again and decide again",
    421: "add that name to server.admin.hosts, or call it by its address",
}


class RemoteError(Exception):
    """The API refused, with this status, or could not be reached; the message is one line for the user."""

    def __init__(self, words: str, status: int | None = None) -> None:
        super().__init__(words)
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
        patience: float = TIMEOUT_SECONDS,
    ) -> Any:
        """One call, answered with its document. Raises `RemoteError`."""
        return asyncio.run(self.calls([(method, path)], body, headers, patience))[0]

    def tagged(self, path: str) -> tuple[Any, str]:
        """A document with its entity tag. Raises `RemoteError`."""
        return asyncio.run(self._answers([("GET", path)], None, None, TIMEOUT_SECONDS))[0]

    def gather(self, *paths: str) -> list[Any]:
        """Several documents at once. Raises `RemoteError`."""
        return asyncio.run(self.calls([("GET", path) for path in paths]))

    async def calls(
        self,
        wanted: list[tuple[str, str]],
        body: object = None,
        headers: dict[str, str] | None = None,
        patience: float = TIMEOUT_SECONDS,
    ) -> list[Any]:
        """Several calls at once. Raises `RemoteError`."""
        return [data for data, _ in await self._answers(wanted, body, headers, patience)]

    async def _answers(
        self, wanted: list[tuple[str, str]], body: object, headers: dict[str, str] | None, patience: float
    ) -> list[tuple[Any, str]]:
        import aiohttp

        from canaryproxy.probes.failure_reasons import reason_of

        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        timeout = aiohttp.ClientTimeout(total=patience)
        try:
            async with aiohttp.ClientSession(timeout=timeout, headers={**given, **(headers or {})}) as session:
                return await asyncio.gather(*(self._call(session, method, path, body) for method, path in wanted))
        except TimeoutError:
            raise RemoteError(f"{self.url} does not answer within {patience:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = reason_of(error, patience)
            raise RemoteError(f"{self.url} cannot be reached: {reason}; is it running? --admin says where") from None

    async def _call(self, session: "aiohttp.ClientSession", method: str, path: str, body: object) -> tuple[Any, str]:
        async with session.request(method, self.url.rstrip("/") + path, json=body, allow_redirects=False) as response:
            data = bytearray()
            async for piece in response.content.iter_any():
                data += piece
                if len(data) > MAX_RESPONSE_BYTES:
                    raise RemoteError(
                        f"{self.url} answers with more than {MAX_RESPONSE_BYTES >> 20} MiB, that is no canaryproxy"
                    )
            try:
                document = json.loads(data)
            except (ValueError, RecursionError):
                raise RemoteError(f"{self.url} is no canaryproxy: it answered {response.status}") from None
            if response.status >= 400:
                raise RemoteError(refusal(response.status, document), response.status)
            return document, response.headers.get("ETag", "")


def refusal(status: int, data: Any) -> str:
    """A problem document in one line."""
    title = data.get("title", "refused") if isinstance(data, dict) else "refused"
    detail = data.get("detail", "") if isinstance(data, dict) else ""
    return escaped(
        "; ".join(part for part in (f"{status} {title}", detail, HINTS.get(status, "")) if part), MAX_DETAIL_LENGTH
    )


def fail(error: RemoteError, code: int = 1) -> typer.Exit:
    """Say why and end with that code."""
    say(str(error), err=True)
    return typer.Exit(code)
