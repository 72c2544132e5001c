"""A real nginx on a loopback port, for tests that need a server not written by us."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.ports import free_port
from tests.conftest import SEARCH_PATH

CONFIG = """
{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}; keepalive_requests {requests};
    location / {{ add_header X-Name {name}; return 200 "{name}\\n"; }}
    location /files/ {{ alias {folder}/files/; }}
  }}
}}
"""

USER = "user root;" if os.geteuid() == 0 else ""
"""A test that runs as root keeps its files to root, so the worker must be root too."""


@contextlib.contextmanager
def nginx(folder: Path, name: str, *, requests: int = 1000) -> Iterator[int]:
    """Answers with its name, serves `folder`/files; closes connections after `requests`. Yields its port."""
    program = shutil.which("nginx", path=SEARCH_PATH)
    assert program is not None
    folder.chmod(0o755)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, name=name, requests=requests, user=USER))
    process = subprocess.Popen([program, "-e", str(folder / "error.log"), "-c", str(config)])
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    """Return when a server listens on `port`, within 10 s."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no server listens on {port}")
