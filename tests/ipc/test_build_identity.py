"""Whether a worker runs what the supervisor runs."""

from dataclasses import replace

import pytest

from canaryproxy import MODE, __version__
from canaryproxy.ipc.build_identity import describe, difference, own_build
from canaryproxy.ipc.messages import Introduction
from canaryproxy.mode import PACKAGE


def test_it_tells_version_mode_and_place() -> None:
    own = own_build()
    assert (own.version, own.compiled, own.package) == (__version__, MODE.compiled, str(PACKAGE))
    assert difference(own, own_build()) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "9.9"}, "the worker runs canaryproxy 9.9 ("),
        (
            {"compiled": False, "why": "sources changed", "version": "1"},
            "canaryproxy 1 (plain Python: sources changed, Python ",
        ),
        ({"compiled": not MODE.compiled}, ", and the supervisor canaryproxy "),
        ({"package": "/elsewhere/canaryproxy"}, " in /elsewhere/canaryproxy, and "),
        ({"python": "3.99.0"}, "Python 3.99.0) in "),
    ],
)
def test_whatever_differs_is_said(change: dict[str, object], said: str) -> None:
    assert said in difference(replace(own_build(), **change), own_build())  # type: ignore[arg-type]


def test_why_it_is_plain_is_no_difference() -> None:
    own = replace(own_build(), compiled=False, why="one")
    assert difference(replace(own, why="another"), own) == ""


def test_one_that_says_nothing_of_itself_is_no_match() -> None:
    assert "(unknown)" in describe(Introduction())
    assert difference(Introduction(), own_build())
