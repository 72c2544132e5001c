"""What a condition asks of a request, as objects that are made once and asked for each request."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from canaryproxy.routing.facts import Facts, Found


class Matches(Protocol):
    """What a value is compared with that is not just looked up."""

    def __call__(self, value: bytes, /) -> bool:
        """Whether this value is what is wanted."""

    def any(self, values: Sequence[bytes]) -> bool:
        """Whether one of these is."""


class Holds:
    """One condition, ready to be asked."""

    __slots__ = ()

    def of(self, facts: Facts) -> bool:
        """Whether it holds of a request."""
        raise NotImplementedError


def all_hold(conditions: tuple[Holds, ...], facts: Facts) -> bool:
    """Whether all of these hold of a request."""
    for holds in conditions:  # noqa: SIM110 - hot, and a loop needs no generator
        if not holds.of(facts):
            return False
    return True


class MethodIn(Holds):
    """The method is one of these."""

    __slots__ = ("_methods",)

    def __init__(self, methods: Iterable[bytes]) -> None:
        self._methods = frozenset(methods)

    def of(self, facts: Facts) -> bool:
        """Whether it is."""
        return facts.method in self._methods


class PathBelow(Holds):
    """The path is this one or below it, by whole segments, as routes claim them. `path` has no slash at its end."""

    __slots__ = ("_below", "_path")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._below = path + b"/"

    def of(self, facts: Facts) -> bool:
        """Whether it is."""
        path = facts.path()
        return path.startswith(self._below) or path == self._path


class PathIs(Holds):
    """The path, in the spelling that is matched, is one of these."""

    __slots__ = ("_paths",)

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._paths = frozenset(paths)

    def of(self, facts: Facts) -> bool:
        """Whether it is."""
        return facts.path() in self._paths


class PathMatches(Holds):
    """The path, in the spelling that is matched, is what is wanted."""

    __slots__ = ("_matches",)

    def __init__(self, matches: Matches) -> None:
        self._matches = matches

    def of(self, facts: Facts) -> bool:
        """Whether it is."""
        return self._matches(facts.path())


class AnyIs(Holds):
    """Any of the values of a header, cookie or parameter is one of these."""

    __slots__ = ("_name", "_subject", "_wanted")

    def __init__(self, subject: str, name: bytes, wanted: Iterable[bytes]) -> None:
        self._subject = subject
        self._name = name
        self._wanted = frozenset(wanted)

    def of(self, facts: Facts) -> bool:
        """Whether one is."""
        wanted = self._wanted
        for value in facts.values(self._subject, self._name):  # noqa: SIM110 - hot, and a loop needs no generator
            if value in wanted:
                return True
        return False


class AnyMatches(Holds):
    """Any of the values of a header, cookie or parameter is what is wanted."""

    __slots__ = ("_matches", "_name", "_subject")

    def __init__(self, subject: str, name: bytes, matches: Matches) -> None:
        self._subject = subject
        self._name = name
        self._matches = matches

    def of(self, facts: Facts) -> bool:
        """Whether one is."""
        values = facts.values(self._subject, self._name)
        if len(values) == 1:
            return self._matches(values[0])
        return bool(values) and self._matches.any(values)


class AnyListed(Holds):
    """Any of these is an item of the lists in a header, cookie or parameter."""

    __slots__ = ("_lists", "_wanted")

    def __init__(self, lists: Found, wanted: Iterable[bytes]) -> None:
        self._lists = lists
        self._wanted = frozenset(wanted)

    def of(self, facts: Facts) -> bool:
        """Whether one is."""
        return not facts.found(self._lists).isdisjoint(self._wanted)


class Among(Holds):
    """This one of many patterns matches, which are matched in one pass for all rules."""

    __slots__ = ("_battery", "_number")

    def __init__(self, battery: Found, number: int) -> None:
        self._battery = battery
        self._number = number

    def of(self, facts: Facts) -> bool:
        """Whether it does."""
        return self._number in facts.found(self._battery)


class Present(Holds):
    """There is such a header, cookie or parameter, or there is none, as `wanted` says."""

    __slots__ = ("_name", "_subject", "_wanted")

    def __init__(self, subject: str, name: bytes, *, wanted: bool) -> None:
        self._subject = subject
        self._name = name
        self._wanted = wanted

    def of(self, facts: Facts) -> bool:
        """Whether that is so."""
        return bool(facts.values(self._subject, self._name)) is self._wanted


class FromNetworks(Holds):
    """The client's address is in one of these networks."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def of(self, facts: Facts) -> bool:
        """Whether it is."""
        address = facts.source()
        if address is None:
            return False
        for network in self._networks:  # noqa: SIM110
            if address in network:
                return True
        return False
