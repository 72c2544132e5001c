"""Rules from plain data, outside a config file: what the API is sent and the state has kept."""

from pydantic import TypeAdapter, ValidationError

from canaryproxy.config.problems import InvalidValueError, Loc, path_text
from canaryproxy.config.schema.rules import RuleConfig, rule_list

_RULES = TypeAdapter(tuple[RuleConfig, ...])


class InvalidRuleError(ValueError):
    """Not a rule: `problems` has (path, what is wrong) for each fault."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {words}" if path else words for path, words in problems))
        self.problems = problems


def rule_from_written(written: object) -> RuleConfig:
    """One rule as in the config. Raises `InvalidRuleError`."""
    return _checked([written])[0]


def rules_from_written(written: object) -> tuple[RuleConfig, ...]:
    """Several, with names of their own. Raises `InvalidRuleError`."""
    try:
        rule_list(written)
    except InvalidValueError as wrong:
        raise InvalidRuleError([("", wrong.hint)]) from None
    return _checked(written)


def _checked(written: object) -> tuple[RuleConfig, ...]:
    try:
        return _RULES.validate_python(written if isinstance(written, tuple) else tuple(_sequence(written)))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise InvalidRuleError(
        [(path_text(_shown(item["loc"])), _words(item["type"], item.get("ctx", {}))) for item in found]
    )


def _sequence(written: object) -> list[object]:
    if not isinstance(written, list):
        raise InvalidRuleError([("", "expected a list of rules")])
    return written


def _shown(loc: Loc) -> Loc:
    return tuple(part for part in loc[1:] if part != "[key]")


def _words(kind: str, context: dict[str, object]) -> str:
    wrong = context.get("error")
    if isinstance(wrong, InvalidValueError):
        return wrong.hint
    return {"missing": "is missing", "extra_forbidden": "is not a key of a rule"}.get(kind, "expected a mapping")
