"""A config's text to a plain tree of dict, list and scalars, remembering where each path stands.

Keys are always text, just as written (`no:` is the key "no"). Values are expanded (`${ENV}`), then
plain ones are typed. Aliases and merge keys (`<<`) are followed, within a bound on the whole. What is
wrong with one key or value is noted and reading goes on, so that all problems show at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from canaryproxy.config.problems import InvalidValueError, Loc, Position
from canaryproxy.config.yaml import nodes
from canaryproxy.config.yaml.environment import expand
from canaryproxy.config.yaml.scalars import Plain, typed_scalar

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of a config; a thousand routes spelled out need a tenth of it."""

YamlTree = dict[str, "YamlTree"] | list["YamlTree"] | Plain


@dataclass(frozen=True, slots=True)
class SourceValue:
    """Where a path stands, a scalar's text before expansion, and the variables that went into it.

    A path stands where its key does, a list's item where the item does; None outside any text.
    """

    position: Position | None
    raw: str | None = None
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The tree, the spot of every path in it, and what was wrong on the way."""

    tree: YamlTree
    source_values: Mapping[Loc, SourceValue]
    faults: tuple[tuple[Loc, Position, InvalidValueError], ...] = ()


def read_document(text: str, environ: Mapping[str, str]) -> Document:
    """Read one YAML document. Raises `nodes.Unreadable` if it is none."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        found = "a config of more than 4 MiB"
        raise nodes.UnreadableYamlError(
            Position(1, 1), InvalidValueError("make it smaller; is it the right file?", found=found)
        )
    root = nodes.compose(text.removeprefix("\ufeff"))
    if root is None:
        return Document(None, {(): SourceValue(Position(1, 1))})
    reader = _Reader(environ)
    tree = reader.value(root, (), root.position)
    return Document(tree, reader.spots, tuple(reader.faults.values()))


class _Reader:
    """Walks the nodes once. `spots` and `faults` grow on the way."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._room = nodes.MAX_NODES
        self.spots: dict[Loc, SourceValue] = {}
        self.faults: dict[Position, tuple[Loc, Position, InvalidValueError]] = {}

    def value(self, node: nodes.Node, loc: Loc, position: Position) -> YamlTree:
        """The value of a node; `position` is where its path is said to stand."""
        self._spend(node.position, len(loc))
        if isinstance(node, nodes.Scalar):
            return self._scalar(node, loc, position)
        self.spots[loc] = SourceValue(position)
        if isinstance(node, nodes.Sequence):
            return [self.value(item, (*loc, index), item.position) for index, item in enumerate(node.items)]
        return {
            key: self.value(node, (*loc, key), key_place) for key, (key_place, node) in self._pairs(node, loc).items()
        }

    def _spend(self, position: Position, depth: int) -> None:
        """Account for one key or value, aliases followed."""
        self._room -= 1
        if self._room < 0:
            raise nodes.too_many(position)
        if depth > nodes.MAX_DEPTH:
            raise nodes.too_deep(position)

    def _scalar(self, node: nodes.Scalar, loc: Loc, position: Position) -> Plain:
        self.spots[loc] = SourceValue(position, node.text)
        if "${" not in node.text:
            return typed_scalar(node.text) if node.plain else node.text
        try:
            text, variables = expand(node.text, self._environ)
        except InvalidValueError as wrong:
            self.faults.setdefault(node.position, (loc, position, wrong))
            return None
        self.spots[loc] = SourceValue(position, node.text, variables)
        return typed_scalar(text) if node.plain else text

    def _pairs(self, node: nodes.Mapping, loc: Loc, merges: int = 0) -> dict[str, tuple[Position, nodes.Node]]:
        """Keys with their places and values; merged ones come last and never replace."""
        pairs: dict[str, tuple[Position, nodes.Node]] = {}
        merged: list[nodes.Node] = []
        for key, value in node.items:
            self._spend(key.position, merges)
            if not isinstance(key, nodes.Scalar):
                self._fault(loc, key.position, "a key that is no text", "write a plain key, such as `weight`")
            elif key.text == "<<" and key.plain:
                merged += value.items if isinstance(value, nodes.Sequence) else [value]
            elif key.text in pairs:
                first = pairs[key.text][0].line
                self._fault((*loc, key.text), key.position, f"a key given before, at line {first}", "keep one of them")
            else:
                pairs[key.text] = (key.position, value)
        for source in merged:
            if isinstance(source, nodes.Mapping):
                for name, pair in self._pairs(source, loc, merges + 1).items():
                    pairs.setdefault(name, pair)
            else:
                self._fault(loc, source.position, "a merge key <<", "give it a mapping, as in `<<: *defaults`")
        return pairs

    def _fault(self, loc: Loc, position: Position, found: str, hint: str) -> None:
        """Note a fault; once for each place, however often aliases lead there."""
        self.faults.setdefault(position, (loc, position, InvalidValueError(hint, found=found)))
