"""Caddy on one processor of Go's."""

from bench.processes import program
from bench.race.peers.peer import Command, Place


def command(place: Place) -> Command:
    """A Caddyfile with a weighted round robin."""
    tls = f"tls {place.certificate.chain} {place.certificate.key}" if place.certificate else ""
    site = f"https://shop.example.com:{place.listen}" if tls else f"http://:{place.listen}"
    config = place.write(
        "Caddyfile",
        f"""{{
  admin off
  auto_https off
  persist_config off
  servers {{
    protocols h1
  }}
  log {{
    level ERROR
  }}
}}
{site} {{
  bind 127.0.0.1
  {tls}
  reverse_proxy 127.0.0.1:{place.stable} 127.0.0.1:{place.canary} {{
    lb_policy weighted_round_robin 9 1
    header_up X-Request-Id {{http.request.uuid}}
    transport http {{
      keepalive_idle_conns_per_host 20000
    }}
  }}
}}
""",
    )
    environment = {
        "GOMAXPROCS": "1", "HOME": str(place.folder),
        "XDG_DATA_HOME": str(place.folder), "XDG_CONFIG_HOME": str(place.folder),
    }  # fmt: skip
    words = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]
    return Command(words, check=[words[0], "validate", *words[2:]], environment=environment)
