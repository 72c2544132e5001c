"""The sockets that an instance listens on, all opened before anything is served."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canaryproxy.config import Config
from canaryproxy.control.compile import listen_addresses
from canaryproxy.processes.listen import ListenError, listen_on
from canaryproxy.processes.unix_socket import Bound, listen_at


@dataclass(frozen=True, slots=True)
class ControlSockets:
    """Sockets of the admin API and of the probes; None for those not configured."""

    admin: socket.socket | None
    probes: socket.socket | None
    local: Bound | None

    def close(self) -> None:
        """Close all of them."""
        for sock in filter(None, (self.admin, self.probes, None if self.local is None else self.local.sock)):
            sock.close()
        if self.local is not None:
            self.local.remove()


def open_sockets(config: Config) -> tuple[ControlSockets, list[socket.socket]]:
    """The sockets of the control plane, then the listeners for requests. Raises `ListenError`."""
    opened: list[socket.socket] = []

    def listening(host: str, port: int) -> socket.socket:
        opened.append(listen_on(host, port))
        return opened[-1]

    admin, probes = config.server.admin, config.server.probes
    try:
        first, second = (
            None if one is None or one.listen is None else listening(one.listen.host, one.listen.port)
            for one in (admin, probes)
        )
        sockets = [listening(host, port) for host, port in listen_addresses(config)]
        path = None if probes is None or probes.socket is None else probe_socket_path(probes.socket)
        return ControlSockets(first, second, None if path is None else listen_at(path)), sockets
    except ListenError:
        for sock in opened:
            sock.close()
        raise


def probe_socket_path(path: str, environ: Mapping[str, str] = os.environ) -> Path:
    """A path relative to the state directory (STATE_DIRECTORY, systemd.exec(5)), else to the working directory."""
    return Path(environ.get("STATE_DIRECTORY", "").split(":")[0], path)
