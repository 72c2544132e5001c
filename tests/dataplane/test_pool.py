"""Lending connections; the rest is tested through the plane."""

import asyncio
from collections.abc import Iterator

import pytest

from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from canaryproxy.model.table import Endpoint


class Wire:
    """A transport that remembers whether it was ended."""

    def __init__(self) -> None:
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        """Nothing."""
        return 0

    def set_write_buffer_limits(self, _: int) -> None:
        """Accepted."""

    def abort(self) -> None:
        """Ended."""
        self.aborted = True


def opened() -> tuple[UpstreamConnection, Wire]:
    upstream, wire = UpstreamConnection(), Wire()
    upstream.connection_made(wire)  # type: ignore[arg-type]
    return upstream, wire


@pytest.fixture
def lending() -> Iterator[Pool]:
    sockets = Sockets(asyncio.new_event_loop())
    yield Pool(Endpoint("::1", 80), sockets)
    sockets.close()
    sockets.loop.close()


def test_the_newest_idle_connection_is_lent_first_and_dead_ones_never(lending: Pool) -> None:
    (first, _), (second, _), (dead, _) = opened(), opened(), opened()
    for upstream in (first, second, dead):
        lending.release(upstream, 10.0)
    dead.connection_lost(None)
    assert lending.take_idle() is second
    assert lending.take_idle() is first
    assert lending.take_idle() is None


def test_idle_connections_are_closed_when_their_time_is_over(lending: Pool) -> None:
    (old, old_wire), (young, young_wire) = opened(), opened()
    lending.release(old, 1.0)
    lending.release(young, 5.0)
    lending.sweep(2.0)
    assert (old_wire.aborted, young_wire.aborted) == (True, False)
    assert lending.take_idle() is young
    assert lending.authority == b"[::1]:80"


def test_closing_ends_what_is_idle(lending: Pool) -> None:
    upstream, wire = opened()
    lending.release(upstream, 1.0)
    lending.close()
    assert wire.aborted
    late, late_wire = opened()
    lending.release(late, 1.0)
    assert late_wire.aborted


def test_each_idle_connection_has_its_own_time_no_matter_who_used_it_first(lending: Pool) -> None:
    """Routes that share an endpoint may keep connections for different times."""
    (long, long_wire), (short, short_wire) = opened(), opened()
    lending.release(long, 60.0)
    lending.release(short, 1.0)
    lending.sweep(2.0)
    assert (long_wire.aborted, short_wire.aborted) == (False, True)
    assert lending.take_idle() is long
