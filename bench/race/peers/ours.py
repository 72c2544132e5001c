"""canaryproxy with its production defaults: admin API, metrics and state on, judged all the time, users kept by a
cookie, a rule for testers, goals that are counted.
"""

from bench.processes import canaryproxy
from bench.race.peers.peer import Command, Place

CONNECTIONS = 20_000
"""More than any part opens; the default of 10,000 leaves no room for the one that asks for figures."""


def command(place: Place, *, workers: int = 1, rules: int = 1, routes: int = 1) -> Command:
    """How to start it, and how to ask it whether it accepts its configuration."""
    config = place.write("canaryproxy.yaml", configuration(place, workers, rules, routes))
    words = canaryproxy(str(config))
    return Command(words, check=[*words[:3], "check", str(config)])


def configuration(place: Place, workers: int, rules: int, routes: int) -> str:
    """The file. Rules are for users that the load names now and then; routes are for hosts."""
    listen = f"{{address: '127.0.0.1:{place.listen}'}}"
    if place.certificate:
        pair = f"{{cert: '{place.certificate.chain}', key: '{place.certificate.key}'}}"
        listen = f"{{address: '127.0.0.1:{place.listen}', tls: {{certs: [{pair}]}}}}"
    server = f"""server:
  listen: [{listen}]
  admin: {{listen: '127.0.0.1:0'}}
  workers: {workers}
  state: '{place.folder}/canaryproxy.db'
  limits: {{max_connections: {CONNECTIONS}}}
routes:
"""
    return server + "".join(route(place, number, routes, rules) for number in range(routes))


def route(place: Place, number: int, routes: int, rules: int) -> str:
    """One route; it is for one host where there are several."""
    hosts = f"    hosts: [shop-{number}.example.com]\n" if routes > 1 else ""
    users = "".join(
        f"      - {{name: user-{user}, headers: {{x-user: user-{user}}}, to: canary}}\n" for user in range(rules - 1)
    )
    return f"""  shop-{number}:
{hosts}    stable: http://127.0.0.1:{place.stable}
    canary: http://127.0.0.1:{place.canary}
    weight: 10
    affinity: cookie
    rules:
      - {{name: testers, headers: {{x-internal-tester: "true"}}, to: canary}}
{users}    goals:
      - {{name: cart_seen, path: {{prefix: /cart}}}}
      - {{name: add_to_cart, method: POST, path: /cart}}
      - {{name: revenue, header: x-order-value}}
"""
