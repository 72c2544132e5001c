"""Who gives way, and who cannot."""

import os
import runpy

import pytest

from canaryproxy.processes import yield_cpu


@pytest.mark.skipif(not hasattr(os, "sched_yield"), reason="there is no such call here")
def test_the_system_is_asked_to_run_others() -> None:
    assert yield_cpu.yield_cpu is os.sched_yield


def test_where_there_is_no_such_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_yield", raising=False)
    again = runpy.run_path(yield_cpu.__file__)
    assert again["yield_cpu"] is again["nothing"]
    assert again["yield_cpu"]() is None
