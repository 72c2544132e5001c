"""Floor, origin and load in C: no warning, no failed request, and no omission that is coordinated."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from bench.ports import free_port
from bench.processes import running
from bench.race import debian
from bench.race.compile import FLAGS, compiled
from bench.race.load import load
from bench.race.track import ask

pytestmark = pytest.mark.needs("gcc", "taskset")

MIB = 1 << 20


@pytest.fixture(autouse=True)
def headers() -> None:
    if "libssl-dev" in debian.missing():
        pytest.skip("openssl/ssl.h is missing; Debian package: libssl-dev")


@pytest.fixture
def origin() -> Iterator[int]:
    stable, canary = free_port(), free_port()
    with running([str(compiled("origin")), str(stable), str(canary)], port=canary):
        yield stable


@pytest.fixture
def floor(origin: int) -> Iterator[int]:
    listen = free_port()
    with running([str(compiled("floor")), str(listen), str(origin), str(origin)], port=listen):
        yield listen


def test_warnings_are_errors() -> None:
    assert {"-Wall", "-Wextra", "-Werror"} <= set(FLAGS)


def test_a_second_of_requests_without_an_error(floor: int, origin: int) -> None:
    before = sum(map(int, ask(origin, "/counts").split()))
    with load("floor", floor, "--connections", 16) as one:
        answers = one.go()
    assert (answers.errors, answers.uncompleted, answers.closed) == (0, 0, 0)
    assert answers.requests > 1000
    assert answers.bytes == 100 * answers.requests
    assert answers.quantiles["50"] <= answers.quantiles["99"] <= answers.quantiles["100"]
    assert sum(map(int, ask(origin, "/counts").split())) - before == answers.requests + 16


def test_a_rate_is_kept(floor: int) -> None:
    with load("floor", floor, "--rate", 2000) as one:
        answers = one.go()
    assert answers.requests == pytest.approx(2000, abs=2)
    assert answers.uncompleted == 0


def test_a_stall_is_seen_by_all_that_were_due_in_it(floor: int, origin: int) -> None:
    """The origin stands still for a fifth of the time. Four connections could wait in it; 400 requests were due."""
    with load("floor", floor, "--rate", 2000, "--connections", 4) as one:
        stall = threading.Timer(0.3, ask, (origin, "/stall"))
        stall.start()
        answers = one.go()
        stall.join()
    assert answers.late > 200
    assert answers.quantiles["90"] > 50_000
    assert answers.quantiles["100"] > 150_000


def test_what_is_never_answered_counts_with_its_age(origin: int) -> None:
    with load("origin", origin, "--rate", 1000, "--milliseconds", 300, "--drain", 50, "--connections", 2) as one:
        stall = threading.Timer(0.2, ask, (origin, "/stall"))
        stall.start()
        answers = one.go()
        stall.join()
    assert answers.uncompleted > 50
    assert answers.requests + answers.uncompleted == 300
    assert answers.quantiles["100"] > 100_000


@pytest.mark.parametrize("way", [("--path", f"/bytes/{MIB}"), ("--up", str(MIB))], ids=["down", "up"])
def test_large_bodies_pass_whole(floor: int, way: tuple[str, str]) -> None:
    with load("floor", floor, "--connections", 8, "--milliseconds", 300, *way) as one:
        answers = one.go()
    up = 100 if way[0] == "--up" else 0
    assert answers.bytes == answers.requests * (MIB + up)


def test_connections_are_held_and_asked_again(floor: int) -> None:
    with load("floor", floor, "--connections", 300, "--once") as one:
        time.sleep(0.1)
        assert one.go().requests == 300


def test_each_request_may_have_a_connection_of_its_own(floor: int) -> None:
    with load("floor", floor, "--connections", 8, "--fresh", "--milliseconds", 200) as one:
        assert one.go().requests > 50


def test_a_failed_request_ends_the_run() -> None:
    with pytest.raises(SystemExit, match="nobody"), load("nobody", free_port()):
        pass


def test_an_origin_that_goes_away_ends_the_run() -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(contextlib.ExitStack())
        process.enter_context(running([str(compiled("origin")), str(port)], port=port))
        one = stack.enter_context(load("origin", port))
        process.close()
        with pytest.raises(SystemExit, match="failed"):
            one.go()
