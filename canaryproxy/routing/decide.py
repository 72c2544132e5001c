"""Decides one request: find the route, match its rules, draw or look up a bucket, choose version and endpoint. Pure.

A bucket is drawn for every request that the weight alone decides, also at weights 0 and 10,000. So the sequence of
buckets does not depend on the weight, raising the weight can only move requests from stable to canary, and every cycle
of 10,000 requests is exact for a constant weight. This costs 0.4 microseconds even if the outcome is certain, so
turning a canary on costs nothing more. A route without a canary draws nothing.
"""

from canaryproxy.model.client import Client
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.routing.affinity import ClientKey
from canaryproxy.routing.balancing import Loads, pick
from canaryproxy.routing.compiled_route import TrafficSplit
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits

_buckets = FULL_WEIGHT


def decide(
    index: RouteIndex, head: RequestHead, client: Client, splits: Splits, loads: Loads
) -> tuple[Decision, ClientKey | None, int, RequestView | None]:
    """The decision for a request; the client's key, if one was needed; the user to count, 0 for none (only analysed
    requests have one); and the view of the request, if one was made.

    Raises `RequestRejectedError` with NO_ROUTE if no route has the request's host and path; no bucket is drawn then.
    """
    compiled = index.find(head.host, head.target)
    if compiled is None:
        raise RequestRejectedError(Failure.NO_ROUTE, "no route has this host and path")
    key, user, request_view = None, 0, None
    if compiled.plain and compiled.stable_only:
        choice = compiled.stable
    elif compiled.plain:
        choice = compiled.canary if splits.draw(compiled.split) < compiled.weight else compiled.stable
    else:
        request_view = RequestView.__new__(RequestView)
        request_view.begin(head, client)
        split, key = compiled.split_for(request_view, splits.rng)
        if key is None:
            bucket = splits.draw(split.split) if split.drawn else 0
        else:
            number = _client_number(client, split, key)
            user, bucket = number, number % _buckets
        choice = split.below if bucket < split.weight else split.above
        if not choice.analysed:
            user = 0
        elif key is not None and split.rule is not None:
            user = compiled.hash.of(key.value)
    decisions = choice.decisions()
    return decisions[0] if len(decisions) == 1 else pick(decisions, loads, splits.rng), key, user, request_view


def _client_number(client: Client, split: TrafficSplit, key: ClientKey) -> int:
    """The client as a number, cached for a key from a cookie: the next request probably has the same key."""
    if not key.from_cookie:
        return split.hash.of(key.value)
    if client.key is not key or client.hash is not split.hash:
        client.key, client.hash, client.user = key, split.hash, split.hash.of(key.value)
    return client.user
