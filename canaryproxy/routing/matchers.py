"""Compiled conditions: made once, matched with each request."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from canaryproxy.routing.request_view import CachedMatch, RequestView


class ValueMatcher(Protocol):
    """A pattern or prefix for values."""

    def __call__(self, value: bytes, /) -> bool:
        """Whether this value matches."""

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether one of these values matches."""


class Matcher:
    """One compiled condition."""

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        raise NotImplementedError


def all_match(conditions: tuple[Matcher, ...], request: RequestView) -> bool:
    """Whether a request meets all conditions."""
    for matcher in conditions:  # noqa: SIM110 - hot, and a loop needs no generator
        if not matcher.matches(request):
            return False
    return True


class PathPrefix(Matcher):
    """The path is this one or below it, by whole segments, as routes claim them. `path` has no slash at its end."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._below = path + b"/"

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        path = request.path()
        return path.startswith(self._below) or path == self._path


class MethodIn(Matcher):
    """The method is one of these. Most goals have a method, and `AnyIs` takes 50 ns more."""

    def __init__(self, methods: Iterable[bytes]) -> None:
        self._methods = frozenset(methods)

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        return request.method in self._methods


class PathIs(Matcher):
    """The path, normalised, is one of these; see `MethodIn`."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._paths = frozenset(paths)

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        return request.path() in self._paths


class AnyIs(Matcher):
    """A value of a header, cookie or parameter is one of these."""

    def __init__(self, subject: str, name: bytes, wanted: Iterable[bytes]) -> None:
        self._subject = subject
        self._name = name
        self._wanted = frozenset(wanted)

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        wanted = self._wanted
        for value in request.values(self._subject, self._name):  # noqa: SIM110 - hot, and a loop needs no generator
            if value in wanted:
                return True
        return False


class AnyMatches(Matcher):
    """The path, or a value of a header, cookie or parameter, matches a pattern or prefix."""

    def __init__(self, subject: str, name: bytes, matches: ValueMatcher) -> None:
        self._subject = subject
        self._name = name
        self._matches = matches

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        values = request.values(self._subject, self._name)
        if len(values) == 1:
            return self._matches(values[0])
        return bool(values) and self._matches.any(values)


class AnyListed(Matcher):
    """One of these is an item of the lists in a header, cookie or parameter."""

    def __init__(self, lists: CachedMatch, wanted: Iterable[bytes]) -> None:
        self._lists = lists
        self._wanted = frozenset(wanted)

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        return not request.cached_match(self._lists).isdisjoint(self._wanted)


class InPatternSet(Matcher):
    """One of many patterns that are matched in one pass for all rules."""

    def __init__(self, patterns: CachedMatch, number: int) -> None:
        self._patterns = patterns
        self._number = number

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        return self._number in request.cached_match(self._patterns)


class IsPresent(Matcher):
    """A header, cookie or parameter is present, or absent, as `wanted` says."""

    def __init__(self, subject: str, name: bytes, *, wanted: bool) -> None:
        self._subject = subject
        self._name = name
        self._wanted = wanted

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        return bool(request.values(self._subject, self._name)) is self._wanted


class FromNetworks(Matcher):
    """The client's address is in one of these networks."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets the condition."""
        address = request.source()
        if address is None:
            return False
        for network in self._networks:  # noqa: SIM110
            if address in network:
                return True
        return False
