"""HAProxy, one thread, connections to origins shared between clients, nothing spliced."""

from bench.processes import program
from bench.race.peers.peer import Command, Place


def command(place: Place) -> Command:
    """One frontend, one backend of two weighted servers."""
    tls = f" ssl crt {place.certificate.both}" if place.certificate else ""
    config = place.write(
        "haproxy.cfg",
        f"""global
  nbthread 1
  maxconn 32000
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  option http-keep-alive
frontend in
  bind 127.0.0.1:{place.listen}{tls} backlog 4096
  unique-id-format %{{+X}}o\\ %ci%cp%ts%rt
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto {"https" if tls else "http"}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-Id %[unique-id]
  http-request set-header Via "1.1 haproxy"
  http-response set-header Via "1.1 haproxy"
  default_backend both
backend both
  balance roundrobin
  http-reuse always
  server stable 127.0.0.1:{place.stable} weight 90
  server canary 127.0.0.1:{place.canary} weight 10
""",
    )
    words = [program("haproxy"), "-db", "-q", "-f", str(config)]
    return Command(words, check=[*words, "-c"])
