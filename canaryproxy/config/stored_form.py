"""The stored form of rules and canaries that were set over the API. Pure, except for files that a canary names.

Stored keys are literals here, each with its present name in the config. Neither a renamed attribute nor a renamed
config key changes stored data (docs/decisions/0013-stored-state.md).
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.config.rules_document import rule_as_written, rules_from_written
from canaryproxy.config.schema.rules import RuleConfig, RuleSet
from canaryproxy.model.document import Document, TooNewError, items

Keys = Mapping[str, str]

NOTHING: "Mapping[str, StoredForm]" = MappingProxyType({})


class StoredForm(NamedTuple):
    """A stored mapping: its keys with their present names in the config, and the forms of mappings below them.
    `each`: the mapping has names as keys, and mappings of this form as values.
    """

    keys: Keys
    below: "Mapping[str, StoredForm]" = NOTHING
    each: bool = False


def _same(keys: str) -> Keys:
    """Keys, separated by spaces, whose names in the config have not changed since they were first stored."""
    return {key: key for key in keys.split()}


MATCHER = _same("exact prefix regex present in item")
RULE = StoredForm(
    _same("name headers cookies query methods path sources to percent preview analyse"),
    {key: StoredForm(MATCHER, each=key != "path") for key in ("headers", "cookies", "query", "path")},
)
HEALTH = StoredForm(
    _same("path host port scheme headers status interval timeout unhealthy healthy version_header"),
    {"headers": StoredForm(_same("file prefix"), each=True)},
)
TLS = StoredForm(_same("ca server_name cert key"))
CANARY = StoredForm(
    _same("url endpoints connect_timeout response_timeout keep_alive version health max_in_flight tls"),
    {"health": HEALTH, "tls": TLS},
)


def inverse(form: StoredForm) -> StoredForm:
    """The form with the keys of the config and their stored names."""
    below = {form.keys[key]: inverse(one) for key, one in form.below.items()}
    return StoredForm({config: stored for stored, config in form.keys.items()}, below, form.each)


RULE_WRITTEN, CANARY_WRITTEN = inverse(RULE), inverse(CANARY)


def renamed(data: object, form: StoredForm, what: str) -> Any:
    """A mapping with its keys replaced, in the same order; other values are returned unchanged. Raises `TooNewError`
    for an unknown key of `what`: a newer canaryproxy may have stored a condition that must not be ignored.
    """
    if not isinstance(data, dict):
        return data
    if form.each:
        return {name: renamed(one, form._replace(each=False), what) for name, one in data.items()}
    for key in data:
        if key not in form.keys:
            raise TooNewError(f"{what} has {key!r}, which this canaryproxy does not know")
    return {
        form.keys[key]: renamed(one, form.below[key], what) if key in form.below else one for key, one in data.items()
    }


def dump_rules(rules: tuple[RuleConfig, ...]) -> list[Document]:
    """Rules in their stored form, without keys that have their default."""
    return [renamed(rule_as_written(rule), RULE_WRITTEN, "a rule") for rule in rules]


def load_rules(data: object) -> RuleSet:
    """Rules from the form of `dump_rules`.

    Raises `TooNewError` for a rule with an unknown condition, which would match too many requests; `ValueError` or
    `TypeError` for any other data.
    """
    return RuleSet(rules_from_written([renamed(one, RULE, "a rule") for one in items(data)]))


def dump_canary(canary: CanaryDocument) -> str:
    """A canary in its stored form: JSON; empty if the API removed the canary."""
    return _renamed_text(canary.written, CANARY_WRITTEN)


def load_canary(data: str) -> CanaryDocument:
    """A canary from the form of `dump_canary`. If one of its files cannot be read, the document has a `problem`.

    Raises `TooNewError` for a canary with an unknown key, `ValueError` for text that is not JSON.
    """
    return CanaryDocument.kept(_renamed_text(data, CANARY))


def _renamed_text(document: str, form: StoredForm) -> str:
    """The text with its keys replaced; the same text if none changes."""
    tree = json.loads(document) if document else ""
    found = renamed(tree, form, "a canary")
    return document if found == tree else json.dumps(found)
