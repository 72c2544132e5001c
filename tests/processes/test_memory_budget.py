"""What buffers may hold where the config says `auto`, and the memory_warning where memory does not suffice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config import Config
from canaryproxy.config.load import parse
from canaryproxy.processes import machine
from canaryproxy.processes.machine import MIB, MIN_BYTES, budget, buffers, fixed, least, memory_warning, warnings


def config(server: str) -> Config:
    return parse(f"server: {server}\nstable: http://a\ncanary: http://b\n", "f", {})


def test_the_shipped_limit_holds_the_shipped_connections_and_two_hundred_mebibytes_of_buffers() -> None:
    assert 180 * MIB < budget(512 * MIB, 10_000, 1, tls=False) < 220 * MIB
    assert not memory_warning(config("{workers: 1}"), 10_000, 512 * MIB)


@given(st.integers(0, 2**40), st.integers(1, 10**6), st.integers(1, 256), st.booleans())
def test_the_automatic_budget_leaves_room_for_all_else(most: int, clients: int, workers: int, tls: bool) -> None:
    found = budget(most, clients, workers, tls=tls)
    assert found >= MIN_BYTES
    assert found == least(most) or found + fixed(clients, workers, tls=tls) <= most


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("{workers: 2, limits: {buffers: 64MiB}}", 32 * MIB),
        ("{workers: 1, limits: {buffers: 1MiB}}", MIB),
        ("{workers: 2}", budget(1024 * MIB, 100, 2, tls=False) // 2),
        ("{workers: 2, limits: {buffers: auto}}", budget(1024 * MIB, 100, 2, tls=False) // 2),
    ],
)
def test_each_worker_has_its_part(server: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available", lambda: 1024 * MIB)
    assert buffers(config(server), 100) == expected


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("{workers: 1, limits: {buffers: 400MiB}}", "10000 connections and 400MiB of buffers"),
        ("{workers: 1, limits: {max_connections: 100000}}", "take about"),
        ("{workers: 16}", "there are 512 MiB of memory"),
        ("{workers: 1, limits: {buffers: 300MiB, max_connections: 1000}}", ""),
    ],
)
def test_what_does_not_fit_is_said(server: str, said: str) -> None:
    loaded = config(server)
    found = memory_warning(loaded, loaded.server.limits.max_connections, 512 * MIB)
    assert said in found
    assert bool(found) == bool(said)


def test_connections_that_speak_tls_are_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fixed(10_000, 1, tls=True) > 500 * MIB > fixed(10_000, 1, tls=False)


def test_files_and_memory_are_both_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available", lambda: 128 * MIB)
    words = warnings(config("{workers: 2}"), 256)
    assert ["max_connections is 10000" in words[0], "128 MiB of memory" in words[1]] == [True, True]
    assert machine.available() > 0
