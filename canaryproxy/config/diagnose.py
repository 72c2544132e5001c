"""Converts the faults of a tree to problems for readers: position, present value, and what to write instead.

Pure. For an unknown key the problem suggests the key that was probably meant, or the section that has it. A key that is
missing because it was misspelt is not reported twice. A value whose key or variable names a token, secret or password
is never shown. A value from the environment is shown as written, `${NAME}`, and no suggestion is made from it.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from canaryproxy.config.problems import ConfigProblem, InvalidValueError, Loc, path_text, section_text
from canaryproxy.config.schema.root import SECTIONS, SchemaFault
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.schema.section import fields_of
from canaryproxy.config.short_form import DEFAULT_ROUTE
from canaryproxy.config.yaml.document import Document, SourceValue, YamlTree

# Problems that are listed; more do not help a reader.
MAX_PROBLEMS = 1000

_SECRET_WORDS = ("token", "secret", "password")
# Sections whose faults describe the present value themselves, without showing it.
TOKENS, CHECKS = ("server", "admin", "tokens"), (("analysis", "checks"), ("rollout", "hooks"), ("rollout", "notify"))

# Sections with headers that canaryproxy sends, whose values may be secrets.
SENT = frozenset(("health", "resources", "checks", "hooks", "notify"))

# Keys of these sections that are URLs, whose path and query may be secrets.
CALLED = frozenset(("url", "prometheus"))

_QUERY = re.compile(r"(?<=[?#]).*", re.DOTALL)
_PATH = re.compile(r"(?<![:/])/.+|(?<=[?#]).*", re.DOTALL)
_USER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")

_MAX_SHOWN_LENGTH = 60
_MAX_KEY_LENGTH = 64
_NO_NAMES: Mapping[Loc, str] = MappingProxyType({})


class Diagnosis:
    """The problems of one document.

    `short`: the document has the short form. `names` replaces paths by names that the reader knows (command-line
    flags).
    """

    def __init__(self, file: str, document: Document, *, short: bool, names: Mapping[Loc, str] = _NO_NAMES) -> None:
        self._file = file
        self._document = document
        self._short = short
        self._names = names
        self._expanded = {loc: value.variables for loc, value in document.source_values.items() if value.variables}

    def problems(self, faults: Iterable[SchemaFault]) -> Iterator[ConfigProblem]:
        """One problem for each fault, without those that follow from another fault."""
        shown = {loc for loc, _, _ in self._document.faults}
        for loc, position, wrong in self._document.faults:
            yield ConfigProblem(self._file, *position, path_text(loc), wrong.found or "", wrong.hint)
        written = list(faults)
        if self._short:  # the document has neither `routes` nor the name of the route
            written = [one._replace(loc=one.loc[2:]) if one.loc[:1] == ("routes",) else one for one in written]
        meant = self._meant(written)
        count = 0
        for fault in written:
            follows = fault.loc in meant if fault.kind == "missing" else self._nearest(fault.loc) in shown
            if follows and fault.kind != "unknown":
                continue
            count += 1
            if count > MAX_PROBLEMS:
                hint = f"fix the first {MAX_PROBLEMS} and try again"
                yield ConfigProblem(self._file, None, None, "", "more problems", hint)
                return
            yield self._problem(fault, meant)

    def _nearest(self, loc: Loc) -> Loc:
        """The longest part of a path that occurs in the text."""
        while loc and loc not in self._document.source_values:
            loc = loc[:-1]
        return loc

    def _meant(self, faults: list[SchemaFault]) -> dict[Loc, str]:
        """The keys that misspelt keys were meant to be, by the misspelt path and by the path that was meant."""
        meant: dict[Loc, str] = {}
        for fault in [fault for fault in faults if fault.kind == "unknown"][:MAX_PROBLEMS]:
            above, key = fault.loc[:-1], str(fault.loc[-1])
            known = self._keys(above)
            if len(key) > _MAX_KEY_LENGTH:
                continue
            for close in difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.7):
                meant[fault.loc] = close
                meant.setdefault((*above, close), close)
                if close == "routes":
                    meant.update({("stable",): close, ("canary",): close})
        return meant

    def _problem(self, fault: SchemaFault, meant: Mapping[Loc, str]) -> ConfigProblem:
        loc = self._nearest(fault.loc)
        if fault.kind == "missing":
            return self._at(loc, fault.loc, "missing", f"add `{fault.loc[-1]}: {self._example(fault.loc)}`")
        if fault.kind == "unknown":
            return self._at(loc, loc, *self._unknown(loc, meant))
        wrong = fault.wrong or self._mapping_expected(loc)
        found, hint = wrong.found or f"found {self._shown(loc)}", wrong.hint
        if wrong.found is None and loc[-1:] and loc[-1] in CALLED and not SENT.isdisjoint(loc[:-1]):
            found = self._called(loc)
        described = loc[:3] == TOKENS or loc[2:4] in CHECKS or loc[:2] in CHECKS or _is_sent(loc)
        if self._is_secret(loc) and not (described and wrong.found is not None):
            found, hint = "a value that is not shown", f"write it like {self._example(loc)}"
        elif self._variables(loc):
            found, hint = self._unvalued(loc, wrong)
        return self._at(loc, loc, found, hint)

    def _unvalued(self, loc: Loc, wrong: InvalidValueError) -> tuple[str, str]:
        """Description and hint for a value from the environment, or a section with such values."""
        source_value = self._document.source_values[loc]
        if wrong.plain is not None:
            wrong = wrong.plain
        elif source_value.variables or (loc and not self._section(loc)):
            # A section is handled below: each of its keys has faults of its own, and its own fault shows no value.
            return self._placeholder(loc, source_value), wrong.expected or f"write it like {self._example(loc)}"
        return wrong.found or self._placeholder(loc, source_value), wrong.hint

    def _placeholder(self, loc: Loc, source_value: SourceValue) -> str:
        if source_value.raw is not None:
            return f"found {_quoted(source_value.raw)}, whose value is not shown"
        kind = _described(_value(self._document.tree, loc), source_value)
        return f"found {kind} with {', '.join(f'${{{name}}}' for name in self._variables(loc))}"

    def _variables(self, loc: Loc) -> tuple[str, ...]:
        """The environment variables in a value, or in any value below it."""
        if loc not in self._document.source_values:
            return ()
        below = [names for at, names in self._expanded.items() if at[: len(loc)] == loc]
        return tuple(sorted({name for names in below for name in names}))

    def _at(self, loc: Loc, path: Loc, found: str, hint: str) -> ConfigProblem:
        source_value = self._document.source_values.get(loc)
        line, column = (source_value and source_value.position) or (None, None)
        return ConfigProblem(self._file, line, column, self._names.get(path) or path_text(path), found, hint)

    def _unknown(self, loc: Loc, meant: Mapping[Loc, str]) -> tuple[str, str]:
        above, key = loc[:-1], str(loc[-1])
        known = "known here: " + ", ".join(self._keys(above))
        if loc in meant:
            return "unknown key", f"did you mean `{meant[loc]}`? {known}"
        homes = self._homes(key)
        return "unknown key", f"it is a key of {homes}" if homes else known

    def _section(self, loc: Loc) -> Loc:
        """The path in the schema for a path in the text; empty for a path without a section."""
        full = loc
        if self._short and loc[:1] not in ((), ("server",)):
            full = ("routes", DEFAULT_ROUTE, *loc)
        for path in SECTIONS:
            if len(path) == len(full) and all(one in ("*", other) for one, other in zip(path, full, strict=True)):
                return path
        return ()

    def _keys(self, loc: Loc) -> list[str]:
        keys = list(fields_of(SECTIONS[self._section(loc)]))
        return [*RouteConfig.model_fields, *keys] if self._short and not loc else keys

    def _homes(self, key: str) -> str:
        """The sections that have a key, for a key in the wrong section."""
        if len(key) > _MAX_KEY_LENGTH:
            return ""
        homes = [path for path, section in SECTIONS.items() if path and key in section.model_fields]
        if self._short:
            homes = [path[2:] if path[:2] == ("routes", "*") else path for path in homes]
        return " or ".join(f"`{section_text(path)}`" for path in homes if path)

    def _example(self, loc: Loc) -> str:
        section = SECTIONS[self._section(loc[:-1])]
        if self._short and len(loc) == 1:
            section = RouteConfig
        field = section.model_fields.get(str(loc[-1])) if loc else None
        return str(field.examples[0]) if field is not None and field.examples else "the reference says"

    def _mapping_expected(self, loc: Loc) -> InvalidValueError:
        if loc == ("routes",):
            return InvalidValueError("expected a mapping of route names to mappings with `stable` and `canary`")
        if loc and not self._section(loc):
            return InvalidValueError(f"expected a mapping: write `{loc[-1]}: {self._example(loc)}`")
        keys = self._keys(loc)
        needed = [key for key, field in SECTIONS[self._section(loc)].model_fields.items() if field.is_required()]
        if len(keys) == 1 or (loc and len(needed) == 1):
            key = needed[0] if needed else keys[0]
            return InvalidValueError(f"expected a mapping: write `{key}: {self._example((*loc, key))}`")
        return InvalidValueError(f"expected a mapping with keys such as `{'`, `'.join(keys[:4])}`; or remove the key")

    def _shown(self, loc: Loc) -> str:
        return _described(_value(self._document.tree, loc), self._document.source_values.get(loc))

    def _called(self, loc: Loc) -> str:
        """The description of a URL that is called, up to its host."""
        value = _value(self._document.tree, loc)
        if not isinstance(value, str):
            return f"found {self._shown(loc)}"
        return f"found {_quoted(_PATH.sub('/...', value, count=1))}" if "://" in value else "a value that is not shown"

    def _is_secret(self, loc: Loc) -> bool:
        source_value = self._document.source_values.get(loc)
        names = [part for part in loc if isinstance(part, str)]
        names += () if source_value is None else source_value.variables
        return _is_sent(loc) or any(word in name.lower() for name in names for word in _SECRET_WORDS)


def _value(tree: YamlTree, loc: Loc) -> YamlTree:
    for part in loc:
        tree = tree[part]  # type: ignore[index]
    return tree


def _described(value: YamlTree, source_value: SourceValue | None) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return _quoted(value)
    written = source_value.raw if source_value is not None and source_value.raw is not None else str(value)
    return written.lower() if isinstance(value, bool) else written


def _quoted(text: str) -> str:
    if "://" in text:
        text = _QUERY.sub("...", _USER.sub("...", text), count=1)
    short = text if len(text) <= _MAX_SHOWN_LENGTH else text[:_MAX_SHOWN_LENGTH] + "..."
    return json.dumps(short, ensure_ascii=False)


def _is_sent(loc: Loc) -> bool:
    """Whether a path is a header that canaryproxy sends, or part of one."""
    return "headers" in loc[:-1] and not SENT.isdisjoint(loc[: loc.index("headers")])
