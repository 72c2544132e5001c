"""The admin API as a server in a thread, for clients that block."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from aiohttp import web

from canaryproxy.admin.app import admin_application
from tests.support.admin import Api


class Live:
    """A served `Api`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.url = ""
        self.loop = asyncio.new_event_loop()


@contextlib.contextmanager
def live(api: Api) -> Iterator[Live]:
    """Serve on a free port until the end."""
    served, ready = Live(api), threading.Event()
    ended = asyncio.Event()

    async def serve() -> None:
        await api.start()
        runner = web.AppRunner(admin_application(api.knowledge, api.gate), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await ended.wait()
        await runner.cleanup()
        api.stop()
        await asyncio.sleep(0)

    thread = threading.Thread(target=served.loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield served
    finally:
        served.loop.call_soon_threadsafe(ended.set)
        thread.join(60)
        served.loop.close()
