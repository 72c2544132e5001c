"""Envoy, one worker: the proxy inside Istio and most meshes. Its breakers are opened so far that they never act."""

import json

from bench.processes import program
from bench.race.peers.peer import Command, Place

TYPES = "type.googleapis.com/envoy.extensions"


def command(place: Place) -> Command:
    """One listener, two weighted clusters."""
    config = place.write("envoy.json", json.dumps(configuration(place), indent=1))
    words = [program("envoy"), "-l", "warning", "-c", str(config), "--use-dynamic-base-id"]
    return Command([*words, "--concurrency", "1"], check=[*words, "--mode", "validate"])


def configuration(place: Place) -> dict[str, object]:
    """The whole of it."""
    host = {"header": {"key": "X-Forwarded-Host", "value": "%REQ(:AUTHORITY)%"}}
    clusters = [{"name": "stable", "weight": 90}, {"name": "canary", "weight": 10}]
    route = {"match": {"prefix": "/"}, "route": {"timeout": "0s", "weighted_clusters": {"clusters": clusters}}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "use_remote_address": True,
        "via": "1.1 envoy",
        "route_config": {
            "request_headers_to_add": [host],
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
        }],
    }  # fmt: skip
    chain: dict[str, object] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if place.certificate:
        pair = {
            "certificate_chain": {"filename": str(place.certificate.chain)},
            "private_key": {"filename": str(place.certificate.key)},
        }
        chain["transport_socket"] = {"name": "tls", "typed_config": {
            "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificates": [pair]},
        }}  # fmt: skip
    listener = {"address": address(place.listen), "filter_chains": [chain], "tcp_backlog_size": 4096}
    return {"static_resources": {
        "listeners": [listener], "clusters": [cluster("stable", place.stable), cluster("canary", place.canary)],
    }}  # fmt: skip


def address(port: int) -> dict[str, object]:
    """A loopback port, in its words."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int) -> dict[str, object]:
    """One origin."""
    most = 100_000
    limits = {"max_connections": most, "max_pending_requests": most, "max_requests": most}
    endpoint = {"endpoint": {"address": address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
