"""Who gives way, and who cannot."""

import os
import runpy

import pytest

from canaryproxy.processes import machine


@pytest.mark.skipif(not hasattr(os, "sched_yield"), reason="there is no such call here")
def test_the_system_is_asked_to_run_others() -> None:
    assert machine.yield_cpu is os.sched_yield


def test_where_there_is_no_such_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_yield", raising=False)
    again = runpy.run_path(machine.__file__)
    assert again["yield_cpu"].__name__ == "<lambda>"
    assert again["yield_cpu"]() is None
