"""What all tests share: hypothesis profiles, and external programs that may be missing.

A test that starts a program says so with `@pytest.mark.needs("nginx")`. Where it is missing the test is
skipped, and the summary lists what to install. With CANARYPROXY_REQUIRE_ALL=1 (CI) any skip fails the run.

A test of what is compiled says so with `@pytest.mark.compiled`. It is no part of a run that is plain by choice
(CANARYPROXY_PLAIN=1), and skipped, and listed, where nothing is compiled.
"""

import logging
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from canaryproxy import MODE
from canaryproxy.mode import SWITCH

PACKAGES = {
    "nginx": "nginx",
    "curl": "curl",
    "wrk": "wrk",
    "prometheus": "prometheus",
    "haproxy": "haproxy",
    "gcc": "gcc",
    "chroot": "coreutils",
    "python3-config": "python3-dev",
    "kubectl": "kubernetes-client",
    "npm": "npm",
    "ip": "iproute2",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Program to the Debian package that brings it."""

# What a terminal or an operator's shell says must not decide how a test ends.
os.environ["TERM"] = "xterm"
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CANARYPROXY_ADMIN", "CANARYPROXY_TOKEN"):
    os.environ.pop(_name, None)

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))

# On a busy machine drawing an input is slow: that says nothing about the code.
BUSY = [HealthCheck.too_slow]
settings.register_profile("fast", max_examples=40, deadline=None, suppress_health_check=BUSY)
settings.register_profile("ci", max_examples=150, deadline=None, derandomize=True, suppress_health_check=BUSY)
settings.register_profile(
    "deep", max_examples=5_000, deadline=None, suppress_health_check=[*BUSY, HealthCheck.data_too_large]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_skipped: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that is run in a test sets up logging to the standard error of that moment, which the next test does
    not have any more.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests of compiled code where plain code was asked for."""
    if os.environ.get(SWITCH) == "1":
        left_out = [item for item in items if item.get_closest_marker("compiled")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("compiled")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is missing, or for which nothing is compiled."""
    if not MODE.compiled and item.get_closest_marker("compiled"):
        pytest.skip(f"canaryproxy runs in {MODE.label} Python: {MODE.why}")
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if shutil.which(program, path=SEARCH_PATH) is None:
                pytest.skip(f"{program} is missing; Debian package: {PACKAGES.get(program, program)}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped and why, also where other processes run the tests (pytest-xdist)."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped[report.nodeid] = reason.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List skipped tests by what they lack."""
    if _skipped:
        terminalreporter.section("not run here")
        for reason in sorted(set(_skipped.values())):
            count = sum(reason == other for other in _skipped.values())
            terminalreporter.line(f"{count} test{'s' if count > 1 else ''}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is required, a skip is a failure."""
    if _skipped and os.environ.get("CANARYPROXY_REQUIRE_ALL") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
