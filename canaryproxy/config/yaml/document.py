"""Reads the text of a config into a plain tree of dict, list and scalars, and records the position of each path.

Keys are always text as written (`no:` is the key "no"). In values `${ENV}` is expanded, then plain scalars get their
type. Aliases and merge keys (`<<`) are followed, up to a limit for the whole document. A fault in a key or value is
recorded and reading continues, so that all problems are reported together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from canaryproxy.config.problems import InvalidValueError, Loc, Position
from canaryproxy.config.yaml import nodes
from canaryproxy.config.yaml.scalars import Plain, expand, typed_scalar

# Bytes of a config: ten times what a thousand routes with all their keys need.
MAX_BYTES = 4 * 1024 * 1024

YamlTree = dict[str, "YamlTree"] | list["YamlTree"] | Plain


@dataclass(frozen=True, slots=True)
class SourceValue:
    """The position of a path, the text of a scalar before expansion, and the variables in it.

    The position is that of the key, or of the item of a list; None where there is no text.
    """

    position: Position | None
    raw: str | None = None
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The tree, the source of every path in it, and the faults found while reading."""

    tree: YamlTree
    source_values: Mapping[Loc, SourceValue]
    faults: tuple[tuple[Loc, Position, InvalidValueError], ...] = ()


def read_document(text: str, environ: Mapping[str, str]) -> Document:
    """Read one YAML document. Raises `nodes.UnreadableYamlError`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        wrong = InvalidValueError("make it smaller; is it the right file?", found="a config of more than 4 MiB")
        raise nodes.UnreadableYamlError(Position(1, 1), wrong)
    root = nodes.compose(text.removeprefix("\ufeff"))
    if root is None:
        return Document(None, {(): SourceValue(Position(1, 1))})
    reader = _Reader(environ)
    tree = reader.value(root, (), root.position)
    return Document(tree, reader.source_values, tuple(reader.faults.values()))


class _Reader:
    """Walks the nodes once and collects `source_values` and `faults`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._room = nodes.MAX_NODES
        self.source_values: dict[Loc, SourceValue] = {}
        self.faults: dict[Position, tuple[Loc, Position, InvalidValueError]] = {}

    def value(self, node: nodes.Node, loc: Loc, position: Position) -> YamlTree:
        """The value of a node; `position` is recorded for its path."""
        self._spend(node.position, len(loc))
        if isinstance(node, nodes.Scalar):
            return self._scalar(node, loc, position)
        self.source_values[loc] = SourceValue(position)
        if isinstance(node, nodes.Sequence):
            return [self.value(item, (*loc, index), item.position) for index, item in enumerate(node.items)]
        return {
            key: self.value(node, (*loc, key), key_position)
            for key, (key_position, node) in self._pairs(node, loc).items()
        }

    def _spend(self, position: Position, depth: int) -> None:
        """Count one key or value against the limits. Aliases count each time they are used."""
        self._room -= 1
        if self._room < 0:
            raise nodes.too_many(position)
        if depth > nodes.MAX_DEPTH:
            raise nodes.too_deep(position)

    def _scalar(self, node: nodes.Scalar, loc: Loc, position: Position) -> Plain:
        self.source_values[loc] = SourceValue(position, node.text)
        if "${" not in node.text:
            return typed_scalar(node.text) if node.plain else node.text
        try:
            text, variables = expand(node.text, self._environ)
        except InvalidValueError as wrong:
            self.faults.setdefault(node.position, (loc, position, wrong))
            return None
        self.source_values[loc] = SourceValue(position, node.text, variables)
        return typed_scalar(text) if node.plain else text

    def _pairs(self, node: nodes.Mapping, loc: Loc, merges: int = 0) -> dict[str, tuple[Position, nodes.Node]]:
        """Keys with their positions and values. Merged keys come last and never replace others."""
        pairs: dict[str, tuple[Position, nodes.Node]] = {}
        merged: list[nodes.Node] = []
        for key, value in node.items:
            self._spend(key.position, merges)
            if not isinstance(key, nodes.Scalar):
                self._fault(loc, key.position, "a key that is not text", "write a plain key, such as `weight`")
            elif key.text == "<<" and key.plain:
                merged += value.items if isinstance(value, nodes.Sequence) else [value]
            elif key.text in pairs:
                first = pairs[key.text][0].line
                self._fault(
                    (*loc, key.text), key.position, f"a key that is given at line {first} already", "keep one of them"
                )
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
        """Record a fault, once for each position, however many aliases refer to it."""
        self.faults.setdefault(position, (loc, position, InvalidValueError(hint, found=found)))
