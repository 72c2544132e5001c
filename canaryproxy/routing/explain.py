"""Why a request gets what it gets, told by the code that decides. Pure.

Nothing is decided here: the route, the lot and the bucket are those of `decide`, and each rule's conditions
are the ones it would be asked. Only where the bucket is drawn anew for every request there is no single
answer; then both versions are named with their shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import FULL_WEIGHT, VersionName
from canaryproxy.routing.affinity import Key, bucket_of
from canaryproxy.routing.condition import why_not
from canaryproxy.routing.entry import ABORT, Entry, Lot
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Dice


@dataclass(frozen=True, slots=True)
class RuleNote:
    """What became of one rule, in words. `matches`: all its conditions hold; `decides`: and it was the one."""

    name: str
    matches: bool
    decides: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a request would get.

    `version` is None where each such request draws anew; `share` is the chance of the canary, and `weight` what
    the bucket is compared with, in basis points. `bucket` is the client's, None where none is looked up.
    `fresh`: the client would be given a cookie.
    """

    route: str
    version: VersionName | None
    reason: str
    share: int
    weight: int
    bucket: int | None
    fresh: bool
    rules: tuple[RuleNote, ...]
    sentence: str


def explain(index: RouteIndex, head: RequestHead, client: Client, dice: Dice) -> Explanation | None:
    """What `decide` does with such a request, and why; None where no route claims it."""
    entry = index.find(head.host, head.target)
    if entry is None:
        return None
    facts = Facts(head, client)
    lot, key = entry.lot(facts, dice)
    fresh = key is not None and bool(key.cookie)
    bucket = None if key is None or fresh else bucket_of(key.value, lot.salt)
    below, above = lot.below.version.name, lot.above.version.name
    share = lot.weight * (below == "canary") + (FULL_WEIGHT - lot.weight) * (above == "canary")
    version: VersionName | None = None
    if bucket is not None:
        version = below if bucket < lot.weight else above
    elif share in (0, FULL_WEIGHT):
        version = "canary" if share else "stable"
    return Explanation(
        route=entry.route.name,
        version=version,
        reason=lot.below.reason,
        share=share,
        weight=lot.weight,
        bucket=bucket,
        fresh=fresh,
        rules=tuple(_notes(entry, lot, facts)),
        sentence=_sentence(entry, lot, version, bucket, key),
    )


def _notes(entry: Entry, lot: Lot, facts: Facts) -> Iterator[RuleNote]:
    for filed in entry.book.rules:
        failing = filed.failing(facts)
        if failing:
            yield RuleNote(filed.rule.name, False, False, "; ".join(why_not(one, facts) for one in failing))
        elif filed.rule is not lot.rule:
            yield RuleNote(filed.rule.name, True, False, f"matches too, but {_first(lot)} comes first")
        elif lot.below.reason == ABORT:
            yield RuleNote(filed.rule.name, True, False, "matches, but the canary is aborted and this is no preview")
        else:
            yield RuleNote(filed.rule.name, True, True, "matches, and decides")


def _first(lot: Lot) -> str:
    return "" if lot.rule is None else lot.rule.name


def _sentence(entry: Entry, lot: Lot, version: VersionName | None, bucket: int | None, key: Key | None) -> str:
    """The decision in one sentence."""
    if entry.alone:
        return "stable, because the route has no canary"
    if lot.below.reason == ABORT:
        return "stable, because the canary is aborted"
    because = f"rule {lot.rule.name}" if lot.rule is not None else "the weight"
    share = f"{lot.weight / 100:g} %"
    below, above = lot.below.version.name, lot.above.version.name
    if bucket is not None:
        relation = "below" if bucket < lot.weight else "not below"
        return f"{version}, because this client's bucket {bucket} is {relation} {lot.weight} ({share}, by {because})"
    if version is not None:
        return f"{version}, because {because} sends {share} to {below}"
    how = "a new client gets a cookie and stays with what it draws" if key is not None else "each request draws anew"
    return f"{below} for {share} and {above} for the others, by {because}; {how}"
