"""The floor: bytes from socket to socket (c/floor.c). It cannot split by request, only by connection."""

from bench.race.compile import compiled
from bench.race.peers.peer import Command, Place


def command(place: Place) -> Command:
    """Three ports, no configuration."""
    return Command([str(compiled("floor")), str(place.listen), str(place.stable), str(place.canary)])
