"""Reads YAML text into nodes with their positions. Only this module uses the YAML library.

Only the scanner and parser of the library are used (its stream of events), never its constructors: no tag can create an
object, and `scalars` decides on the type of a plain scalar. Anchors and aliases work; an alias can only refer to a
finished node, so the result has no cycles. Depth and number of nodes are limited while reading.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from canaryproxy.config.problems import InvalidValueError, Position
from canaryproxy.config.yaml.syntax import syntax_hint

# Levels of nesting; the schema needs eight. The reader is recursive, so the limit protects the stack.
MAX_DEPTH = 50

# Keys and values in one document, with every use of an alias counted: a few aliases of aliases can mean billions.
MAX_NODES = 100_000

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
# The C parser if the library was built with it, and the slower Python parser. Both give the same events.
LOADERS: tuple[type[Any], ...] = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts, as written. `plain`: without quotes and tag, so its type depends on its text."""

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
    """The text is not a usable YAML document: the position and the problem."""

    def __init__(self, position: Position, wrong: InvalidValueError) -> None:
        super().__init__(wrong.hint)
        self.position = position
        self.wrong = wrong


def _unreadable(position: Position, hint: str, found: str) -> UnreadableYamlError:
    return UnreadableYamlError(position, InvalidValueError(hint, found=found))


def too_many(position: Position) -> UnreadableYamlError:
    """The error for more than `MAX_NODES` keys and values."""
    hint = f"a config has at most {MAX_NODES}, with every use of an alias counted"
    return _unreadable(position, hint, "too many keys and values")


def too_deep(position: Position) -> UnreadableYamlError:
    """The error for more than `MAX_DEPTH` levels, with aliases and merge keys followed."""
    return _unreadable(position, f"nest at most {MAX_DEPTH} levels", "nesting that is too deep")


def compose(text: str, loader: type[Any] = LOADERS[0]) -> Node | None:
    """The root node of the one document in `text`; None if there is none. Raises `UnreadableYamlError`."""
    # The parsers report such a character with an error that has no position.
    strange = _UNREADABLE.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        column = strange.start() - text.rfind("\n", 0, strange.start())
        raise _unreadable(Position(line, column), "remove it", "a character that YAML does not allow")
    try:
        return _Composer(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
        began = error.context_mark
        since = Position(began.line + 1, began.column + 1) if began is not None else position
        hint = syntax_hint(text, error.problem or "", error.context or "", position, since)
        raise UnreadableYamlError(*hint) from None
    except yaml.YAMLError:
        raise _unreadable(Position(1, 1), "save it as plain UTF-8 text", "text that is not YAML") from None


class _Composer:
    """Converts the stream of events to nodes, depth first."""

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
                    raise _unreadable(_position(event), "keep one document in the file", found)
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
        node = self._new_node(event, position, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, name: str, position: Position) -> Node:
        if name not in self._anchors:
            hint = f"define &{name} above it; a value that begins with * needs quotes"
            raise _unreadable(position, hint, f"an alias *{name} without its anchor")
        return self._anchors[name]

    def _new_node(self, event: Any, position: Position, depth: int) -> Node:
        if event.tag not in _TEXT_TAGS:
            raise _unreadable(position, "remove the tag; to write text, use quotes", "a YAML tag (!...)")
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
