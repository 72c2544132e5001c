"""Rules and canaries that were set over the API, in the form that is stored. Pure, but for files that a canary names.

Stored keys are literals here, beside what the config calls the same today: neither a renamed attribute nor a renamed
config key changes what is on the disk (docs/decisions/0013-stored-state.md).
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleConfig, RuleSet
from canaryproxy.config.types.rule import MatchSpec
from canaryproxy.model.document import Document, TooNewError, items
from canaryproxy.model.table import FULL_WEIGHT

Keys = Mapping[str, str]

NOTHING: "Mapping[str, StoredForm]" = MappingProxyType({})


class StoredForm(NamedTuple):
    """An object as it is stored: its keys with what the config calls them today, and the forms of objects below them.
    `each`: it is a mapping by name of such objects.
    """

    keys: Keys
    below: "Mapping[str, StoredForm]" = NOTHING
    each: bool = False


MATCHER: Keys = {
    "exact": "exact",
    "prefix": "prefix",
    "regex": "regex",
    "present": "present",
    "in": "in",
    "item": "item",
}
RULE = StoredForm(
    {
        "name": "name",
        "headers": "headers",
        "cookies": "cookies",
        "query": "query",
        "methods": "methods",
        "path": "path",
        "sources": "sources",
        "to": "to",
        "percent": "percent",
        "preview": "preview",
        "analyse": "analyse",
    },
    {
        "headers": StoredForm(MATCHER, each=True),
        "cookies": StoredForm(MATCHER, each=True),
        "query": StoredForm(MATCHER, each=True),
        "path": StoredForm(MATCHER),
    },
)
HEALTH = StoredForm(
    {
        "path": "path",
        "host": "host",
        "port": "port",
        "scheme": "scheme",
        "headers": "headers",
        "status": "status",
        "interval": "interval",
        "timeout": "timeout",
        "unhealthy": "unhealthy",
        "healthy": "healthy",
        "version_header": "version_header",
    },
    {"headers": StoredForm({"file": "file", "prefix": "prefix"}, each=True)},
)
TLS = StoredForm({"ca": "ca", "server_name": "server_name", "cert": "cert", "key": "key"})
CANARY = StoredForm(
    {
        "url": "url",
        "endpoints": "endpoints",
        "connect_timeout": "connect_timeout",
        "response_timeout": "response_timeout",
        "keep_alive": "keep_alive",
        "version": "version",
        "health": "health",
        "max_in_flight": "max_in_flight",
        "tls": "tls",
    },
    {"health": HEALTH, "tls": TLS},
)


def inverse(form: StoredForm) -> StoredForm:
    """From the config's keys to the stored ones."""
    below = {form.keys[key]: inverse(one) for key, one in form.below.items()}
    return StoredForm({config: stored for stored, config in form.keys.items()}, below, form.each)


CANARY_WRITTEN = inverse(CANARY)


def renamed(data: object, form: StoredForm, what: str) -> Any:
    """An object with the other keys, in its order; what is no object stays as it is. Raises `TooNewError` for a key
    that is not known: what it says of `what` must not be ignored.
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
    """Rules as they are stored, without what has its default."""
    return [_dump_rule(rule) for rule in rules]


def _dump_rule(rule: RuleConfig) -> Document:
    found: Document = {"name": rule.name}
    if rule.headers:
        found["headers"] = _dump_matchers(rule.headers)
    if rule.cookies:
        found["cookies"] = _dump_matchers(rule.cookies)
    if rule.query:
        found["query"] = _dump_matchers(rule.query)
    if rule.methods:
        found["methods"] = list(rule.methods)
    if rule.path is not None:
        found["path"] = _dump_matcher(rule.path)
    if rule.sources:
        found["sources"] = [str(network) for network in rule.sources]
    found["to"] = rule.to
    if rule.percent != FULL_WEIGHT:
        found["percent"] = rule.percent / 100
    if rule.preview:
        found["preview"] = True
    if rule.analyse:
        found["analyse"] = True
    return found


def _dump_matchers(matchers: Mapping[str, MatchSpec]) -> Document:
    return {name: _dump_matcher(one) for name, one in matchers.items()}


def _dump_matcher(matcher: MatchSpec) -> object:
    """The shortest form that reads as this one."""
    first, values = matcher.values[0], list(matcher.values)
    forms: dict[str, object] = {
        "exact": first,
        "prefix": {"prefix": first},
        "regex": {"regex": first},
        "present": {"present": first == "true"},
        "in": {"in": values},
        "item": {"item": first if len(values) == 1 else values},
    }
    return forms[matcher.kind]


def load_rules(data: object) -> RuleSet:
    """What `dump_rules` gave. A rule with a condition that this version does not know would match more than it should.

    Raises `TooNewError` for one with such a condition; `ValueError` or `TypeError` for what is no list of rules.
    """
    return RuleSet(rules_from_written([renamed(one, RULE, "a rule") for one in items(data)]))


def dump_canary(canary: CanaryDocument) -> str:
    """A canary as it is stored: JSON, empty where there is to be none."""
    return _renamed_text(canary.written, CANARY_WRITTEN)


def load_canary(data: str) -> CanaryDocument:
    """What `dump_canary` gave. One with a key that this version does not know may be meant otherwise. One whose files
    cannot be read says so itself.

    Raises `TooNewError` for one with such a key; `ValueError` for what is no JSON.
    """
    return CanaryDocument.kept(_renamed_text(data, CANARY))


def _renamed_text(document: str, form: StoredForm) -> str:
    """The same text where no key has another name."""
    tree = json.loads(document) if document else ""
    found = renamed(tree, form, "a canary")
    return document if found == tree else json.dumps(found)
