"""The limit of open files, and what it makes of the number of clients."""

import resource
from collections.abc import Iterator

import pytest

from canaryproxy.config import Config, parse
from canaryproxy.processes.machine import (
    UNLIMITED,
    connections,
    connections_aside,
    files_warning,
    raise_file_limit,
    reachable_files,
    wanted_files,
)


@pytest.fixture
def limits() -> Iterator[int]:
    """What was reachable; the limits are put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def config(most: int = 10_000, workers: int = 2) -> Config:
    return parse(
        f"server: {{workers: {workers}, limits: {{max_connections: {most}}}}}\nstable: http://a\ncanary: http://b\n",
        "f",
        {},
    )


def test_the_soft_limit_is_raised_to_what_is_wanted_and_never_lowered(limits: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits))
    assert raise_file_limit(300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
    assert raise_file_limit(200) == 300


def test_the_hard_limit_is_as_far_as_it_goes(limits: int) -> None:
    assert raise_file_limit(limits + 1) == limits
    assert reachable_files() == limits


def test_a_kernel_that_refuses_is_no_end(limits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits))
    with monkeypatch.context() as patch:
        patch.setattr(resource, "setrlimit", refuse)
        assert raise_file_limit(300) == 256


def test_no_limit_is_a_high_one(monkeypatch: pytest.MonkeyPatch) -> None:
    infinite = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (infinite, infinite))
    assert raise_file_limit(300) == reachable_files() == UNLIMITED
    assert connections(config(), UNLIMITED) == 10_000


@pytest.mark.parametrize(
    ("files", "most", "workers", "fit"),
    [
        (256, 10_000, 2, 192),
        (256, 10_000, 1, 96),
        (256, 100, 2, 100),
        (1024, 10_000, 4, 1920),
        (20_064, 10_000, 1, 10_000),
    ],
)
def test_what_does_not_fit_is_said_before_the_first_client(files: int, most: int, workers: int, fit: int) -> None:
    written = config(most, workers)
    assert connections(written, files) == fit
    said = files_warning(written, files)
    assert bool(said) == (fit < most)
    if said:
        for part in (str(most), f"more than {files} files", f"{fit} clients", str(wanted_files(written))):
            assert part in said


def test_a_limit_that_costs_next_to_nothing_is_no_warning() -> None:
    assert connections(config(10_000, 1), 20_000) == 9_968
    assert files_warning(config(10_000, 1), 20_000) == ""
    assert files_warning(config(10_000, 1), 18_000) != ""


@pytest.mark.parametrize(("files", "aside"), [(16, 4), (256, 32), (1024, 128), (10**6, 1024)])
def test_the_api_leaves_descriptors_for_the_control_plane(files: int, aside: int) -> None:
    assert connections_aside(files) == aside
