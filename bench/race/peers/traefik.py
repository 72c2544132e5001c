"""Traefik on one processor of Go's. It makes no request ids."""

import json

from bench.processes import program
from bench.race.peers.peer import Command, Place


def command(place: Place) -> Command:
    """Its two files: what needs a restart, and what does not."""
    dynamic = place.write("dynamic.json", json.dumps(routes(place), indent=1))
    static = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"in": {"address": f"127.0.0.1:{place.listen}"}},
        "providers": {"file": {"filename": str(dynamic), "watch": False}},
    }
    config = place.write("traefik.json", json.dumps(static, indent=1))
    return Command([program("traefik"), f"--configFile={config}"], environment={"GOMAXPROCS": "1"})


def routes(place: Place) -> dict[str, object]:
    """One router, a weighted service, Via both ways."""

    def server(port: int) -> dict[str, object]:
        return {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{port}"}], "serversTransport": "kept"}}

    weighted = {"services": [{"name": "stable", "weight": 90}, {"name": "canary", "weight": 10}]}
    via = {"customRequestHeaders": {"Via": "1.1 traefik"}, "customResponseHeaders": {"Via": "1.1 traefik"}}
    router: dict[str, object] = {"entryPoints": ["in"], "rule": "PathPrefix(`/`)", "service": "split",
                                 "middlewares": ["via"]}  # fmt: skip
    config: dict[str, object] = {
        "http": {
            "routers": {"all": router},
            "middlewares": {"via": {"headers": via}},
            "services": {
                "split": {"weighted": weighted}, "stable": server(place.stable), "canary": server(place.canary),
            },
            "serversTransports": {"kept": {"maxIdleConnsPerHost": 20_000}},
        },
    }  # fmt: skip
    if place.certificate:
        router["tls"] = {}
        pair = {"certFile": str(place.certificate.chain), "keyFile": str(place.certificate.key)}
        config["tls"] = {"certificates": [pair], "stores": {"default": {"defaultCertificate": pair}}}
    return config
