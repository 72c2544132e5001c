import asyncio
import socket

from canaryproxy.proxy.buffers import Buffers
from canaryproxy.proxy.sockets import Hearer

class Poller:
    def __init__(self, loop: asyncio.AbstractEventLoop, buffers: Buffers | None = None) -> None: ...
    def adopt(self, sock: socket.socket, protocol: Hearer) -> object: ...
    def close(self) -> None: ...
