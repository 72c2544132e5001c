"""The proxies we measure ourselves beside, each configured to do the same work.

Keep-alive both ways, a 90/10 split between two origins, X-Forwarded-For/-Proto/-Host, a request id, Via both ways, no
access log, one worker. What one cannot do is said beside its name.
"""

from bench.race.peers import caddy, envoy, floor, haproxy, nginx, ours, traefik
from bench.race.peers.peer import Certificate, Command, Peer, Place

__all__ = [
    "CADDY",
    "ENVOY",
    "FLOOR",
    "HAPROXY",
    "NGINX",
    "OURS",
    "PEERS",
    "TRAEFIK",
    "Certificate",
    "Command",
    "Peer",
    "Place",
]

FLOOR = Peer(
    "floor",
    floor.command,
    "does no HTTP parsing, as a lower bound: splits by connection, adds nothing",
    fields=(),
    tls=False,
    pools=False,
)
OURS = Peer("canaryproxy", ours.command)
NGINX = Peer("nginx", nginx.command)
HAPROXY = Peer("HAProxy", haproxy.command)
ENVOY = Peer("Envoy", envoy.command)
TRAEFIK = Peer(
    "Traefik",
    traefik.command,
    "makes no request ids",
    fields=("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"),
)
CADDY = Peer("Caddy", caddy.command)

PEERS = (FLOOR, OURS, HAPROXY, NGINX, ENVOY, TRAEFIK, CADDY)
