"""Rules as plain data outside a config file: documents of the API and of the stored state, in the form of the config.

Pure. `rule_as_written` is the inverse of `rule_from_written`.
"""

from pydantic import TypeAdapter

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.rules import RuleConfig, rule_list
from canaryproxy.config.schema.section import InvalidDocumentError, validated
from canaryproxy.config.types.rule import MatchSpec
from canaryproxy.model.table import FULL_WEIGHT

Written = dict[str, object]

_RULES = TypeAdapter(tuple[RuleConfig, ...])


def rule_from_written(written: object) -> RuleConfig:
    """One rule in the form of the config. Raises `InvalidDocumentError`."""
    return validated(_RULES, (written,), skip=1)[0]


def rules_from_written(written: object) -> tuple[RuleConfig, ...]:
    """Several rules with different names. Raises `InvalidDocumentError`."""
    try:
        rules = rule_list(written)
    except InvalidValueError as wrong:
        raise InvalidDocumentError([("", wrong.hint)]) from None
    return validated(_RULES, rules, skip=1)


def rule_as_written(rule: RuleConfig) -> Written:
    """The mapping that is read as this rule, without keys that have their default."""
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
    """The shortest text or mapping that is read as this matcher."""
    if match.kind == "exact":
        return match.values[0]
    if match.kind == "present":
        return {"present": match.values[0] == "true"}
    if match.kind == "in" or len(match.values) > 1:
        return {match.kind: list(match.values)}
    return {match.kind: match.values[0]}
