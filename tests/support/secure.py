"""An aiohttp application behind TLS, with an authority of its own."""

import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from tests.support.authority import Authority


@contextlib.asynccontextmanager
async def secure_server(app: web.Application, *names: str) -> AsyncIterator[tuple[int, Authority]]:
    """Its port on 127.0.0.1, and who signed its certificate, which is for `hook.test` unless names are given."""
    authority = Authority()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.ca.issue_cert(*(names or ("hook.test",))).configure_cert(context)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1], authority
    finally:
        await runner.cleanup()
