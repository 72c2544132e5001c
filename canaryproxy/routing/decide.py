"""One request, one decision: find the route, ask its rules, draw or look up a bucket, take the version, choose an
endpoint. Pure and synchronous.

A bucket is drawn for every request that the weight alone decides, at weight 0 and 10,000 too. So the sequence
of buckets does not depend on the weights, raising the weight can only move requests from stable to canary,
and every cycle of 10,000 requests is exact for a weight that stays the same throughout. The price, 0.4
microseconds where the outcome is certain, is the same for every weight: turning a canary on costs nothing. A route
without a canary draws nothing, and keeps no split.
"""

from canaryproxy.model.client import Client
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.routing.affinity import Key
from canaryproxy.routing.balance import Loads, pick
from canaryproxy.routing.entry import Lot
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Splits

_buckets = FULL_WEIGHT


def decide(
    index: RouteIndex, head: RequestHead, client: Client, splits: Splits, loads: Loads
) -> tuple[Decision, Key | None, int, Facts | None]:
    """Version, endpoint and reason for a request, by the index's table; the client's key, if one was looked at; the
    user it is counted as, 0 for none, only those who are analysed are; and what was found out about the request, if
    anybody asked.

    Raises `Refused(Failure.NO_ROUTE)` where no route claims the request's host and path; no bucket is drawn then.
    """
    entry = index.find(head.host, head.target)
    if entry is None:
        raise RequestRejectedError(Failure.NO_ROUTE, "no route has this host and path")
    key, user, facts = None, 0, None
    if entry.plain and entry.alone:
        verdict = entry.stable
    elif entry.plain:
        verdict = entry.canary if splits.draw(entry.split) < entry.weight else entry.stable
    else:
        facts = Facts.__new__(Facts)
        facts.begin(head, client)
        lot, key = entry.lot(facts, splits.dice)
        if key is None:
            bucket = splits.draw(lot.split) if lot.drawn else 0
        else:
            number = _number(client, lot, key)
            user, bucket = number, number % _buckets
        verdict = lot.below if bucket < lot.weight else lot.above
        if not verdict.analysed:
            user = 0
        elif key is not None and lot.rule is not None:
            user = entry.hash.of(key.value)
    decisions = verdict.decisions()
    return decisions[0] if len(decisions) == 1 else pick(decisions, loads, splits.dice), key, user, facts


def _number(client: Client, lot: Lot, key: Key) -> int:
    """The client as a number. That of a key kept in a cookie is remembered: the next request may well bring it too."""
    if not key.kept:
        return lot.hash.of(key.value)
    if client.key is not key or client.hash is not lot.hash:
        client.key, client.hash, client.user = key, lot.hash, lot.hash.of(key.value)
    return client.user
