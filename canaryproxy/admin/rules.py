"""Rules of a route."""

from collections.abc import Callable
from dataclasses import replace

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag
from canaryproxy.admin.operation import change_of, invalid_body, read, shown
from canaryproxy.admin.problems import ApiError
from canaryproxy.config.rules_document import rule_as_written, rule_from_written
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.schema.section import InvalidDocumentError
from canaryproxy.control.controller import Rules

# Rules of one route.
MAX_RULES = 10_000


def _rules(call: ApiCall) -> models.Rules:
    route = call.route
    return models.Rules(rules=call.views.rules(route), source=call.views.plane.ledger.state[route].rules_source)


async def _changed(call: ApiCall, change: Callable[[Rules], Rules]) -> tuple[ApiResponse, bool]:
    """Apply a change to the rules. Returns the response and whether a rule was added."""
    # `after` is the result of this change, even if another one follows before the response is sent.
    route = call.route
    before: Rules = ()
    after: Rules = ()

    def observed(rules: Rules) -> Rules:
        nonlocal before, after
        before, after = rules, change(rules)
        return after

    change_rules = call.views.plane.controller.set_rules
    changed = await after_change(call, change_rules(route, observed, call.actor, call.revision))
    rules = list(map(rule_as_written, after))
    body = models.RulesChanged(rules=rules, source="api", route=route, generation=changed.generation)
    return ApiResponse(body, headers={"ETag": tag(changed.revision)}), len(after) > len(before)


def _rule(body: object) -> RuleConfig:
    try:
        return rule_from_written(body)
    except InvalidDocumentError as error:
        raise invalid_body(error.problems, str(error)) from None


def _with_rule(rules: Rules, rule: RuleConfig) -> Rules:
    if len(rules) >= MAX_RULES:
        raise ApiError("invalid", f"a route has at most {MAX_RULES} rules")
    return (*rules, rule)


async def _add_rule(call: ApiCall) -> ApiResponse:
    rule = _rule(call.body)

    def change(rules: Rules) -> Rules:
        if any(one.name == rule.name for one in rules):
            raise ApiError("rule-exists", f"use PUT rules/{rule.name} to replace it")
        return _with_rule(rules, rule)

    answer, _ = await _changed(call, change)
    return replace(answer, status=201)


async def _put_rule(call: ApiCall) -> ApiResponse:
    name = call.path["rule"]
    rule = _rule(call.body)
    if rule.name != name:
        raise ApiError("rule-name", f"the name is {rule.name} in the body and {name[:64]} in the path")

    def change(rules: Rules) -> Rules:
        if all(one.name != name for one in rules):
            return _with_rule(rules, rule)
        return tuple(rule if one.name == name else one for one in rules)

    answer, added = await _changed(call, change)
    return replace(answer, status=201 if added else 200)


async def _delete_rule(call: ApiCall) -> ApiResponse:
    name = call.path["rule"]

    def change(rules: Rules) -> Rules:
        if all(one.name != name for one in rules):
            raise ApiError("no-such-rule", f"rules are: {', '.join(one.name for one in rules[:20]) or 'none'}")
        return tuple(one for one in rules if one.name != name)

    answer, _ = await _changed(call, change)
    return answer


OPERATIONS = (
    read("/rules", "The rules in order", shown(_rules, tag=True), models.Rules),
    change_of("POST", "/rules", "Append a rule", _add_rule, models.RulesChanged, "rule", "rule-exists", status=201),
    change_of("PUT", "/rules/{rule}", "Replace or append a rule", _put_rule, models.RulesChanged, "rule", "rule-name"),
    change_of("DELETE", "/rules/{rule}", "Remove a rule", _delete_rule, models.RulesChanged, None, "no-such-rule"),
)
