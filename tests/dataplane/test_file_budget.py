"""How many clients the file descriptors allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane.file_budget import (
    FILES_PER_CONNECTION,
    RESERVED_FILES,
    connection_limit,
    connections_within,
    files_for,
)


@pytest.mark.parametrize(
    ("files", "clients"),
    [(256, 96), (1024, 480), (64, 20), (32, 4), (20_064, 10_000), (4, 1), (1, 1), (2**31, 2**30 - 32)],
)
def test_clients_that_fit(files: int, clients: int) -> None:
    assert connections_within(files) == clients


@given(st.integers(16, 2**31))
def test_some_are_always_left_for_the_rest(files: int) -> None:
    left = files - FILES_PER_CONNECTION * connections_within(files)
    assert left >= min(RESERVED_FILES, files // 4)


@given(st.integers(1, 10**6))
def test_what_is_wanted_is_enough(clients: int) -> None:
    assert connections_within(files_for(clients)) >= min(clients, connections_within(files_for(clients)))
    assert files_for(clients) <= 4 * RESERVED_FILES or connections_within(files_for(clients)) == clients


@given(st.integers(1, 10**6), st.integers(8, 10**6), st.integers(1, 64))
def test_an_instance_never_serves_more_than_it_is_to_or_than_its_workers_can(
    wanted: int, files: int, workers: int
) -> None:
    found = connection_limit(wanted, files, workers)
    assert 1 <= found <= wanted
    assert found <= workers * connections_within(files)
