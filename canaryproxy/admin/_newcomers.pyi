import socket

from canaryproxy.admin.newcomers import Newcomer, Refusable

def take(listening: socket.socket, most: int, refusable: Refusable) -> tuple[list[Newcomer], int]: ...
