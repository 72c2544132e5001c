"""Routing tables as differences, from the table that a worker has to the next one. Pure.

A changed weight in one of a thousand routes takes a few hundred bytes, and unchanged rules are neither sent nor
compiled again.
"""

from dataclasses import replace

from canaryproxy.ipc.messages import Publication
from canaryproxy.model.table import Route, RoutingTable

# The table that a worker starts with.
EMPTY = RoutingTable(0, ())


def diff(before: RoutingTable, after: RoutingTable) -> Publication:
    """The publication that changes `before` to `after`."""
    known = {route.name: route for route in before.routes}
    changed: list[Route] = []
    rules = {}
    for route in after.routes:
        old = known.get(route.name)
        if old is route:
            continue
        old_rules = () if old is None else old.rules
        if route.rules is not old_rules and route.rules != old_rules:
            rules[route.name] = route.rules
            changed.append(replace(route, rules=()))
        elif old is None or replace(route, rules=()) != replace(old, rules=()):
            changed.append(replace(route, rules=()))
    return Publication(after.generation, tuple(route.name for route in after.routes), tuple(changed), rules)


def apply(before: RoutingTable, publication: Publication) -> RoutingTable:
    """The table after a publication. Unchanged routes and rules are the same objects as before. Raises `KeyError` for a
    name that neither has.
    """
    known = {route.name: route for route in before.routes}
    changed = {route.name: route for route in publication.routes}

    def built(name: str) -> Route:
        route = changed.get(name)
        if route is None:
            return known[name]
        rules = publication.rules.get(name)
        if rules is None:
            rules = known[name].rules if name in known else ()
        return replace(route, rules=rules)

    return RoutingTable(publication.generation, tuple(map(built, publication.names)))
