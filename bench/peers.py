"""The proxies we measure ourselves beside, each told to do the same work.

Keep-alive both ways, a 90/10 split between two origins, X-Forwarded-For/-Proto/-Host, a request id, Via, no
access log, one worker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import canaryproxy, program


@dataclass(frozen=True)
class Peer:
    """`command(folder, listen, stable, canary)` writes what the proxy needs and returns how to start it."""

    name: str
    command: Callable[[Path, int, int, int], list[str]]


def _canaryproxy(_: Path, listen: int, stable: int, canary: int) -> list[str]:
    return canaryproxy(
        "--stable", f"http://127.0.0.1:{stable}", "--canary", f"http://127.0.0.1:{canary}", "--weight", "10",
        "--workers", "1", "--listen", f"127.0.0.1:{listen}",
    )  # fmt: skip


def _nginx(folder: Path, listen: int, stable: int, canary: int) -> list[str]:
    config = folder / "proxy.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/proxy.pid; error_log {folder}/proxy.err warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}/pb; proxy_temp_path {folder}/pp; fastcgi_temp_path {folder}/pf;
  uwsgi_temp_path {folder}/pu; scgi_temp_path {folder}/ps;
  upstream stable {{ server 127.0.0.1:{stable}; keepalive 128; keepalive_requests 100000000; }}
  upstream canary {{ server 127.0.0.1:{canary}; keepalive 128; keepalive_requests 100000000; }}
  split_clients "$request_id" $version {{ 10% canary; * stable; }}
  server {{
    listen 127.0.0.1:{listen} backlog=4096;
    location / {{
      proxy_pass http://$version; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-Id $request_id; proxy_set_header Via "1.1 nginx"; add_header Via "1.1 nginx";
    }}
  }}
}}
"""
    )
    return [program("nginx"), "-e", f"{folder}/proxy.err", "-c", str(config)]


def _haproxy(folder: Path, listen: int, stable: int, canary: int) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(
        f"""global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
frontend in
  bind 127.0.0.1:{listen}
  unique-id-format %{{+X}}o\\ %ci%cp%ts%rt
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-Id %[unique-id]
  http-request set-header Via "1.1 haproxy"
  http-response set-header Via "1.1 haproxy"
  default_backend both
backend both
  balance roundrobin
  http-reuse always
  server stable 127.0.0.1:{stable} weight 90
  server canary 127.0.0.1:{canary} weight 10
"""
    )
    return [program("haproxy"), "-db", "-q", "-f", str(config)]


PEERS = (Peer("canaryproxy", _canaryproxy), Peer("nginx", _nginx), Peer("HAProxy", _haproxy))
