"""What a condition asks of a request, as objects that are made once and asked for each request."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from canaryproxy.routing.request_view import CachedMatch, RequestView


class ValueMatcher(Protocol):
    """What a value is compared with that is not just looked up."""

    def __call__(self, value: bytes, /) -> bool:
        """Whether this value is what is wanted."""

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether one of these is."""


class Matcher:
    """One condition, ready to be asked."""

    def matches(self, request: RequestView) -> bool:
        """Whether it holds of a request."""
        raise NotImplementedError


def all_match(conditions: tuple[Matcher, ...], request: RequestView) -> bool:
    """Whether all of these hold of a request."""
    for matcher in conditions:  # noqa: SIM110 - hot, and a loop needs no generator
        if not matcher.matches(request):
            return False
    return True


class MethodIn(Matcher):
    """The method is one of these."""

    def __init__(self, methods: Iterable[bytes]) -> None:
        self._methods = frozenset(methods)

    def matches(self, request: RequestView) -> bool:
        """Whether it is."""
        return request.method in self._methods


class PathPrefix(Matcher):
    """The path is this one or below it, by whole segments, as routes claim them. `path` has no slash at its end."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._below = path + b"/"

    def matches(self, request: RequestView) -> bool:
        """Whether it is."""
        path = request.path()
        return path.startswith(self._below) or path == self._path


class PathIs(Matcher):
    """The path, in the spelling that is matched, is one of these."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._paths = frozenset(paths)

    def matches(self, request: RequestView) -> bool:
        """Whether it is."""
        return request.path() in self._paths


class PathMatches(Matcher):
    """The path, in the spelling that is matched, is what is wanted."""

    def __init__(self, matches: ValueMatcher) -> None:
        self._matches = matches

    def matches(self, request: RequestView) -> bool:
        """Whether it is."""
        return self._matches(request.path())


class AnyIs(Matcher):
    """Any of the values of a header, cookie or parameter is one of these."""

    def __init__(self, subject: str, name: bytes, wanted: Iterable[bytes]) -> None:
        self._subject = subject
        self._name = name
        self._wanted = frozenset(wanted)

    def matches(self, request: RequestView) -> bool:
        """Whether one is."""
        wanted = self._wanted
        for value in request.values(self._subject, self._name):  # noqa: SIM110 - hot, and a loop needs no generator
            if value in wanted:
                return True
        return False


class AnyMatches(Matcher):
    """Any of the values of a header, cookie or parameter is what is wanted."""

    def __init__(self, subject: str, name: bytes, matches: ValueMatcher) -> None:
        self._subject = subject
        self._name = name
        self._matches = matches

    def matches(self, request: RequestView) -> bool:
        """Whether one is."""
        values = request.values(self._subject, self._name)
        if len(values) == 1:
            return self._matches(values[0])
        return bool(values) and self._matches.any(values)


class AnyListed(Matcher):
    """Any of these is an item of the lists in a header, cookie or parameter."""

    def __init__(self, lists: CachedMatch, wanted: Iterable[bytes]) -> None:
        self._lists = lists
        self._wanted = frozenset(wanted)

    def matches(self, request: RequestView) -> bool:
        """Whether one is."""
        return not request.cached_match(self._lists).isdisjoint(self._wanted)


class InPatternSet(Matcher):
    """This one of many patterns matches, which are matched in one pass for all rules."""

    def __init__(self, patterns: CachedMatch, number: int) -> None:
        self._battery = patterns
        self._number = number

    def matches(self, request: RequestView) -> bool:
        """Whether it does."""
        return self._number in request.cached_match(self._battery)


class IsPresent(Matcher):
    """There is such a header, cookie or parameter, or there is none, as `wanted` says."""

    def __init__(self, subject: str, name: bytes, *, wanted: bool) -> None:
        self._subject = subject
        self._name = name
        self._wanted = wanted

    def matches(self, request: RequestView) -> bool:
        """Whether that is so."""
        return bool(request.values(self._subject, self._name)) is self._wanted


class FromNetworks(Matcher):
    """The client's address is in one of these networks."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def matches(self, request: RequestView) -> bool:
        """Whether it is."""
        address = request.source()
        if address is None:
            return False
        for network in self._networks:  # noqa: SIM110
            if address in network:
                return True
        return False
