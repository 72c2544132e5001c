"""YAML text to nodes with their places; the only home of the YAML library.

Only the library's scanner and parser are used (its stream of events), never its constructors: no tag
can make an object, and what a plain scalar means is decided in `scalar`. Anchors and aliases are
understood; an alias can only point back to a finished node, so the result has no cycles. Depth and
number of nodes are bounded while reading, before anything big is built.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from canaryproxy.config.problems import InvalidValueError, Position
from canaryproxy.config.yaml.syntax import syntax_hint

MAX_DEPTH = 50
"""Levels of nesting; the schema needs eight."""

MAX_NODES = 100_000
"""Keys and values in one document, counted again after aliases are followed."""

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
LOADERS: tuple[type[Any], ...] = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)
"""The C parser where the library was built with it, and its slower Python twin: either will do."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts, as written. `plain`: unquoted and untagged, so its type is read from its text."""

    position: Position
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    position: Position
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in order, duplicates included."""

    position: Position
    items: tuple[tuple["Node", "Node"], ...]


Node = Scalar | Sequence | Mapping


class UnreadableYamlError(Exception):
    """The text is not a YAML document that can be used: where, and what to do."""

    def __init__(self, position: Position, wrong: InvalidValueError) -> None:
        super().__init__(wrong.hint)
        self.position = position
        self.wrong = wrong


def too_many(position: Position) -> UnreadableYamlError:
    """There are more keys and values than `MAX_NODES`."""
    hint = f"a config has at most {MAX_NODES} of them, aliases followed"
    return UnreadableYamlError(position, InvalidValueError(hint, found="too many keys and values"))


def too_deep(position: Position) -> UnreadableYamlError:
    """There are more levels than `MAX_DEPTH`, aliases and merge keys followed."""
    return UnreadableYamlError(
        position, InvalidValueError(f"nest at most {MAX_DEPTH} levels", found="nesting that is too deep")
    )


def compose(text: str, loader: type[Any] = LOADERS[0]) -> Node | None:
    """The root node of the one document in `text`; None if there is none. Raises `UnreadableYamlError`."""
    strange = _UNREADABLE.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        column = strange.start() - text.rfind("\n", 0, strange.start())
        raise UnreadableYamlError(
            Position(line, column), InvalidValueError("remove it", found="a character that YAML does not allow")
        )
    try:
        return _Composer(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
        began = error.context_mark
        since = Position(began.line + 1, began.column + 1) if began is not None else position
        raise UnreadableYamlError(
            *syntax_hint(text, error.problem or "", error.context or "", position, since)
        ) from None
    except yaml.YAMLError:
        raise UnreadableYamlError(
            Position(1, 1), InvalidValueError("save it as plain UTF-8 text", found="text that is not YAML")
        ) from None


class _Composer:
    """Turns the stream of events into nodes, depth first."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    found = "a second document, after ---"
                    raise UnreadableYamlError(
                        _position(event), InvalidValueError("keep one document in the file", found=found)
                    )
                root = self._node(next(self._events), 1)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        position = _position(event)
        self._count += 1
        if self._count > MAX_NODES:
            raise too_many(position)
        if depth > MAX_DEPTH:
            raise too_deep(position)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(str(event.anchor), position)
        node = self._fresh(event, position, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, name: str, position: Position) -> Node:
        if name not in self._anchors:
            hint = f"define it before with &{name}; a plain * at the start of a value needs quotes"
            raise UnreadableYamlError(position, InvalidValueError(hint, found=f"an alias *{name} without its anchor"))
        return self._anchors[name]

    def _fresh(self, event: Any, position: Position, depth: int) -> Node:
        if event.tag not in _TEXT_TAGS:
            raise UnreadableYamlError(
                position, InvalidValueError("remove the tag; to write text, use quotes", found="a YAML tag (!...)")
            )
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(position, event.value, plain=event.tag is None and not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return Sequence(position, tuple(items))
        pairs = []
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            pairs.append((self._node(key, depth + 1), self._node(next(self._events), depth + 1)))
        return Mapping(position, tuple(pairs))


def _position(event: Any) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)
