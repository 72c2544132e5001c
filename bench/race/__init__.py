"""canaryproxy beside nginx, HAProxy, Envoy, Traefik, Caddy and a floor: what a request costs, and how long it takes.

Words: a *peer* is a kind of proxy; a *runner* is one that is up; the *track* is the pinned machine with its two
origins; a *part* is one question; a *row* is one runner in one round of one part.
"""
