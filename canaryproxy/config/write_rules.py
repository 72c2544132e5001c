"""Rules back to what a user writes: the inverse of reading them, for the API and for the state. Pure."""

from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.types.rule import MatchSpec
from canaryproxy.model.table import FULL_WEIGHT

Written = dict[str, object]


def rule_as_written(rule: RuleConfig) -> Written:
    """The mapping that reads as this rule, without what has its default."""
    written: Written = {"name": rule.name}
    for key, matches in (("headers", rule.headers), ("cookies", rule.cookies), ("query", rule.query)):
        if matches:
            written[key] = {name: matcher_as_written(match) for name, match in matches.items()}
    if rule.methods:
        written["methods"] = list(rule.methods)
    if rule.path is not None:
        written["path"] = matcher_as_written(rule.path)
    if rule.sources:
        written["sources"] = [str(source) for source in rule.sources]
    written["to"] = rule.to
    if rule.percent != FULL_WEIGHT:
        written["percent"] = rule.percent / 100
    if rule.preview:
        written["preview"] = True
    if rule.analyse:
        written["analyse"] = True
    return written


def matcher_as_written(match: MatchSpec) -> object:
    """The shortest way to write what a value is compared with."""
    if match.kind == "exact":
        return match.values[0]
    if match.kind == "in":
        return {"in": list(match.values)}
    if match.kind == "present":
        return {"present": match.values[0] == "true"}
    if match.kind == "item" and len(match.values) > 1:
        return {"item": list(match.values)}
    return {match.kind: match.values[0]}
