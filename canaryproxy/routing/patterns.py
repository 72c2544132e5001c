"""Regular expressions of rules, one by one and many in one pass. The only module that uses google-re2.

RE2 takes time linear in its input for every pattern. That is not enough if two hundred rules search the same 60 KiB, or
a client repeats a cookie ten thousand times. So several values are joined with line feeds, which no field can contain,
and searched at once; and patterns for the same field are merged into one automaton (`PatternSet`).

Only patterns with at most one unbounded repetition are merged, so that the automaton stays small. With two, as in
`a.*b.*c`, its states could combine like the subsets of the patterns, and a client would choose which.
"""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple
from weakref import WeakValueDictionary

import re2

# Up to this many values, or patterns, are matched one by one: joining or merging would cost more.
MIN_MERGED = 4

# Limit on patterns in one automaton.
MAX_MERGED = 256

# Matches every text. RE2 finds no match, not even this one, if its memory does not suffice.
ALWAYS = b""

# Memory limit of one pattern, some 40,000 instructions. A configuration with a larger pattern is rejected.
MAX_MEMORY_BYTES = 1 << 20

# Memory limit of one automaton of many patterns.
MERGED_MEMORY_BYTES = 1 << 22

# Anchors to the text instead of the line, and flags that would have effect beyond their group.
_absolute = re.compile(r"\\[AzZQC]|\(\?[A-Za-z]*-").search

_escape_or_class = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]", re.DOTALL).sub
_unbounded = re.compile(r"[*+]|\{\d+,\}").findall


class InvalidPatternError(ValueError):
    """Not a regular expression that RE2 accepts; the message says why."""


def _silent(_: str) -> None:
    """Discard a warning."""


def _options(*, lines: bool, memory: int = MAX_MEMORY_BYTES) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_nl = lines
    options.max_mem = memory
    return options


class Core(NamedTuple):
    """A pattern for a search in lines. `floats`: a match may begin anywhere in a line."""

    floats: bool
    text: bytes


class Pattern:
    """A regular expression that has to match a whole value. Raises `InvalidPatternError` for an invalid one."""

    __slots__ = ("__weakref__", "_absolute", "_fullmatch", "_search", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._fullmatch = re2.compile(text.encode("utf-8"), _options(lines=False)).fullmatch
        except re2.error as error:
            reason = error.args[0] if error.args else ""
            raise InvalidPatternError(
                reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            ) from None
        self._absolute = _absolute(text) is not None
        self._search: Callable[[bytes], object] | None = None

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"

    @property
    def core(self) -> Core | None:
        """The pattern for a search in lines; None if it must not be merged."""
        return core_of(self.text)

    def __call__(self, value: bytes) -> bool:
        """Whether it matches this value."""
        return self._fullmatch(value) is not None

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether it matches one of these."""
        if len(values) <= MIN_MERGED or self._absolute:
            return any(map(self, values))
        text, others = _lines(values)
        return (text is not None and self.in_lines(text)) or any(map(self, others))

    def in_lines(self, text: bytes) -> bool:
        """Whether it matches one of the lines of a text."""
        if self._absolute:
            return any(map(self, text.split(b"\n")))
        if self._search is None:
            line = b"(?m)^(?:%b)$" % self.text.encode("utf-8")
            self._search = re2.compile(line, _options(lines=True)).search
        return self._search(text) is not None


# Compiled patterns in use, so that a changed rule compiles its own pattern only.
_known: WeakValueDictionary[str, Pattern] = WeakValueDictionary()


def pattern(text: str) -> Pattern:
    """The compiled pattern of this text, shared. Raises `InvalidPatternError`."""
    found = _known.get(text)
    if found is None:
        found = _known[text] = Pattern(text)
    return found


class Prefix:
    """A prefix of values."""

    __slots__ = ("_start",)

    def __init__(self, start: bytes) -> None:
        self._start = start

    def __repr__(self) -> str:
        return f"<Prefix {self._start!r}>"

    @property
    def core(self) -> Core:
        """The prefix for a search in lines."""
        return Core(False, b"(?m)^" + re2.escape(self._start))

    def __call__(self, value: bytes) -> bool:
        """Whether this value has the prefix."""
        return value.startswith(self._start)

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether one of these values has the prefix."""
        return any(map(self, values))

    def in_lines(self, text: bytes) -> bool:
        """Whether one of the lines of a text has the prefix."""
        return text.startswith(self._start) or (b"\n" not in self._start and b"\n" + self._start in text)


class MergedPatterns:
    """Many patterns as one automaton. Raises `re2.error` where it would be too large."""

    __slots__ = ("__weakref__", "_set", "count")

    def __init__(self, cores: tuple[bytes, ...]) -> None:
        self.count = len(cores)
        self._set = re2.Set.SearchSet(_options(lines=True, memory=MERGED_MEMORY_BYTES))
        for text in (*cores, ALWAYS):
            self._set.Add(text)
        self._set.Compile()

    def __repr__(self) -> str:
        return f"<MergedPatterns {self.count} patterns>"

    def matched(self, text: bytes) -> list[int] | None:
        """The indices of the patterns that match in a text; None if RE2's memory did not suffice."""
        found = self._set.Match(text)
        return [at for at in found if at < self.count] if found else None


# Automata in use: unchanged ones are shared between tables.
_merged: WeakValueDictionary[tuple[bytes, ...], MergedPatterns] = WeakValueDictionary()


class PatternSet:
    """Patterns for the values of one header, cookie or parameter, or for the path, as `subject` and `name` say. `warn`
    is set by workers.
    """

    warn: ClassVar[Callable[[str], None]] = staticmethod(_silent)

    __slots__ = ("_merged", "_patterns", "_single", "_warned", "name", "subject")

    def __init__(self, subject: str, name: bytes, patterns: Sequence[Pattern | Prefix]) -> None:
        self.subject = subject
        self.name = name
        self._patterns = tuple(patterns)
        self._merged: list[tuple[MergedPatterns, list[int]]] = []
        cores = [(number, core) for number, core in enumerate(pattern.core for pattern in patterns) if core is not None]
        for floats in (False, True):
            some = [(number, core.text) for number, core in cores if core.floats is floats]
            for begin in range(0, len(some), MAX_MERGED):
                self._merge(some[begin : begin + MAX_MERGED])
        merged = {number for _, some in self._merged for number in some}
        self._single = tuple(number for number in range(len(patterns)) if number not in merged)
        self._warned = False

    def __repr__(self) -> str:
        return (
            f"<PatternSet {self.subject} {self.name!r}: {len(self._patterns)} patterns, {len(self._single)} not merged>"
        )

    def _merge(self, cores: list[tuple[int, bytes]]) -> None:
        """Merge patterns into one automaton, or two halves if it would be too large; a single one is not merged."""
        if len(cores) < 2:
            return
        texts = tuple(text for _, text in cores)
        merged = _merged.get(texts)
        try:
            if merged is None:
                merged = _merged[texts] = MergedPatterns(texts)
        except re2.error:
            half = len(cores) // 2
            self._merge(cores[:half])
            self._merge(cores[half:])
        else:
            self._merged.append((merged, [number for number, _ in cores]))

    def matched(self, values: Sequence[bytes]) -> frozenset[int]:
        """The numbers of the patterns that match one of these values."""
        if not values:
            return frozenset()
        text, others = _lines(values)
        found: set[int] = set()
        if text is not None:
            for merged, numbers in self._merged:
                found.update(self._matched(merged, numbers, text))
            found.update(number for number in self._single if self._patterns[number].in_lines(text))
        if others:
            found.update(number for number, pattern in enumerate(self._patterns) if pattern.any(others))
        return frozenset(found)

    def _matched(self, merged: MergedPatterns, numbers: list[int], text: bytes) -> list[int]:
        matched = merged.matched(text)
        if matched is not None:
            return [numbers[at] for at in matched]
        if not self._warned:
            self._warned = True
            what = f"{self.subject} {self.name.decode('utf-8', 'replace')}".strip()
            type(self).warn(
                f"{len(numbers)} regular expressions for one {what} need more memory together than RE2 has; "
                "they are matched one by one"
            )
        return [number for number in numbers if self._patterns[number].in_lines(text)]


def core_of(text: str) -> Core | None:
    """The pattern for a search in lines, without `.*` at its ends; None if it must not be merged.

    A final `.*` is removed because its state would stay active until the end of the line.
    """
    bare = _escape_or_class("a", text)
    if _absolute(text) or "(?" in bare.replace("(?:", "(").replace("(?i)", ""):
        return None
    begins, ends = text.startswith(".*"), text.endswith(".*") and bare.endswith(".*") and not text.endswith("\\.*")
    if (begins or ends) and (_alternates(bare) or text[2:3] in ("?", "+", "*")):
        return None
    core = text[2 * begins : len(text) - 2 * ends] if len(text) > 2 * begins + 2 * ends or begins != ends else ""
    loops = len(_unbounded(_escape_or_class("a", core))) + begins
    if loops > 1 or (loops and "{" in _escape_or_class("a", core)):
        return None
    start, stop = "" if begins else "^", "" if ends else "$"
    return Core(begins, f"(?m){start}(?:{core}){stop}".encode())


def _alternates(bare: str) -> bool:
    """Whether there is a `|` outside of groups."""
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if character == "|" and not depth:
            return True
    return False


def _lines(values: Sequence[bytes]) -> tuple[bytes | None, Sequence[bytes]]:
    """The values without a line feed as lines of one text (None without any), and the others."""
    text = b"\n".join(values)
    if text.count(b"\n") == len(values) - 1:
        return text, ()
    lines = [value for value in values if b"\n" not in value]
    return b"\n".join(lines) if lines else None, [value for value in values if b"\n" in value]
