"""Regular expressions of rules, one by one and many in one pass. The only home of google-re2.

RE2 takes time linear in its input, whatever the pattern is. That is not enough where two hundred rules look at the
same 60 KiB, or a client repeats a cookie ten thousand times. So several values are joined with line feeds, which no
field can have, and searched at once; and patterns that look at the same field are merged into one automaton
(`PatternSet`).

Merged are only patterns whose common automaton stays small: those with one unbounded repetition at most. Two of them,
as in `a.*b.*c`, may stand in as many combinations as there are subsets of the patterns, and a client chooses which.
"""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple
from weakref import WeakValueDictionary

import re2

MIN_MERGED = 4
"""Values that are matched one by one; also as many patterns are not worth a battery."""

MAX_MERGED = 256
"""Patterns in one automaton."""

ALWAYS = b""
"""Matches every text. RE2 finds nothing at all, not even this, where its memory does not suffice."""

MAX_MEMORY_BYTES = 1 << 20
"""Bytes that RE2 takes for one pattern: some 40,000 instructions. What needs more is refused with its configuration."""

MERGED_MEMORY_BYTES = 1 << 22
"""Bytes that RE2 takes for one automaton of many patterns."""

_absolute = re.compile(r"\\[AzZQC]|\(\?[A-Za-z]*-").search
"""What looks at the ends of the text, not of the line, and what would reach beyond the group around it."""

_escape_or_class = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]", re.DOTALL).sub
_unbounded = re.compile(r"[*+]|\{\d+,\}").findall


class InvalidPatternError(ValueError):
    """Not a regular expression that RE2 takes; the message says why."""


def _silent(_: str) -> None:
    """Where nothing can be said."""


def _options(*, lines: bool, memory: int = MAX_MEMORY_BYTES) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_nl = lines
    options.max_mem = memory
    return options


class Core(NamedTuple):
    """A pattern as it is searched in lines. `floats`: it may begin anywhere in a line."""

    floats: bool
    text: bytes


class Pattern:
    """A regular expression that has to match all of a value. Raises `InvalidPatternError` when it is made of something
    else.
    """

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
        """As it is searched in lines; None where it is better not merged with others."""
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


_known: WeakValueDictionary[str, Pattern] = WeakValueDictionary()
"""A change of one rule compiles its pattern, not those of ten thousand others."""


def pattern(text: str) -> Pattern:
    """The pattern of this text, made unless there is one. Raises `InvalidPatternError`."""
    found = _known.get(text)
    if found is None:
        found = _known[text] = Pattern(text)
    return found


class Prefix:
    """What a value has to begin with."""

    __slots__ = ("_start",)

    def __init__(self, start: bytes) -> None:
        self._start = start

    def __repr__(self) -> str:
        return f"<Prefix {self._start!r}>"

    @property
    def core(self) -> Core:
        """As it is searched in lines."""
        return Core(False, b"(?m)^" + re2.escape(self._start))

    def __call__(self, value: bytes) -> bool:
        """Whether this value does."""
        return value.startswith(self._start)

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether one of these does."""
        return any(map(self, values))

    def in_lines(self, text: bytes) -> bool:
        """Whether one of the lines of a text does."""
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
        """The places of those that match in this text; None where RE2's memory did not suffice to say."""
        found = self._set.Match(text)
        return [at for at in found if at < self.count] if found else None


_merged: WeakValueDictionary[tuple[bytes, ...], MergedPatterns] = WeakValueDictionary()
"""Automata that are in use: what has not changed among ten thousand rules is not made again."""


class PatternSet:
    """Patterns that look at the values of one field, cookie or parameter, or at the path, as `subject` and `name`
    say. `warn` is where a worker says what it has to.
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
        """One automaton of these; two halves where it would be too large; none of a single one."""
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
    """The pattern as one that is searched in lines, without `.*` at its ends; None where it is better not merged.

    `.*` at the end would have its state remember for good that it has matched.
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
    """Whether there is a `|` outside of all groups."""
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if character == "|" and not depth:
            return True
    return False


def _lines(values: Sequence[bytes]) -> tuple[bytes | None, Sequence[bytes]]:
    """The values as lines of one text, None where none can be one, and those that cannot: with a line feed in them."""
    text = b"\n".join(values)
    if text.count(b"\n") == len(values) - 1:
        return text, ()
    lines = [value for value in values if b"\n" not in value]
    return b"\n".join(lines) if lines else None, [value for value in values if b"\n" in value]
