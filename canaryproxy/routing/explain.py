"""Explains the decision for a request, with the code that decides. Pure.

Nothing is decided here: route, split, bucket and conditions are those of `decide`. Where every request draws a new
bucket there is no single answer; then both versions are named with their shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import FULL_WEIGHT, VersionName
from canaryproxy.routing.affinity import ClientKey, bucket_of
from canaryproxy.routing.compiled_route import ABORT, CompiledRoute, TrafficSplit
from canaryproxy.routing.conditions import mismatch_reason
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Rng


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """Whether one rule matches the request and decides it, and a sentence that says why."""

    name: str
    matches: bool
    decides: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision for a request.

    `version` is None where each such request draws a new bucket; `share` is the probability of the canary, and `weight`
    the number that the bucket is compared with, both in basis points. `bucket` is the client's; None without a key.
    `fresh`: the client would get a new cookie.
    """

    route: str
    version: VersionName | None
    reason: str
    share: int
    weight: int
    bucket: int | None
    fresh: bool
    rules: tuple[RuleExplanation, ...]
    sentence: str


def explain(index: RouteIndex, head: RequestHead, client: Client, rng: Rng) -> Explanation | None:
    """The decision of `decide` for this request, explained; None where no route matches."""
    compiled = index.find(head.host, head.target)
    if compiled is None:
        return None
    request = RequestView(head, client)
    split, key = compiled.split_for(request, rng)
    fresh = key is not None and bool(key.cookie)
    bucket = None if key is None or fresh else bucket_of(key.value, split.salt)
    below, above = split.below.version.name, split.above.version.name
    share = split.weight * (below == "canary") + (FULL_WEIGHT - split.weight) * (above == "canary")
    version: VersionName | None = None
    if bucket is not None:
        version = below if bucket < split.weight else above
    elif share in (0, FULL_WEIGHT):
        version = "canary" if share else "stable"
    return Explanation(
        route=compiled.route.name,
        version=version,
        reason=split.below.reason,
        share=share,
        weight=split.weight,
        bucket=bucket,
        fresh=fresh,
        rules=tuple(_notes(compiled, split, request)),
        sentence=_sentence(compiled, split, version, bucket, key),
    )


def _notes(compiled: CompiledRoute, split: TrafficSplit, request: RequestView) -> Iterator[RuleExplanation]:
    for indexed in compiled.rule_index.rules:
        name, failing = indexed.rule.name, indexed.failing_conditions(request)
        if failing:
            why = "; ".join(mismatch_reason(condition, request) for condition in failing)
        elif indexed.rule is not split.rule:
            why = f"matches too, but {'' if split.rule is None else split.rule.name} comes first"
        elif split.below.reason == ABORT:
            why = "matches, but the canary is aborted and this is no preview"
        else:
            yield RuleExplanation(name, True, True, "matches, and decides")
            continue
        yield RuleExplanation(name, not failing, False, why)


def _sentence(
    compiled: CompiledRoute, split: TrafficSplit, version: VersionName | None, bucket: int | None, key: ClientKey | None
) -> str:
    """The decision in one sentence."""
    if compiled.stable_only:
        return "stable, because the route has no canary"
    if split.below.reason == ABORT:
        return "stable, because the canary is aborted"
    because = f"rule {split.rule.name}" if split.rule is not None else "the weight"
    share = f"{split.weight / 100:g} %"
    below, above = split.below.version.name, split.above.version.name
    if bucket is not None:
        relation = "below" if bucket < split.weight else "not below"
        return f"{version}, because this client's bucket {bucket} is {relation} {split.weight} ({share}, by {because})"
    if version is not None:
        return f"{version}, because {because} sends {share} to {below}"
    new = "a new client gets a cookie and keeps its bucket" if key is not None else "each request draws a new bucket"
    return f"{below} for {share} and {above} for the others, by {because}; {new}"
