"""The twin that the simulations run is the judge's own arithmetic, and its splitter the product's."""

import numpy as np
import pytest

from bench.judge import equality, latency, twin
from bench.judge.equality import TwinDiffersError
from bench.judge.splitter import CYCLE, Splitters, Stock, drawn


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock(drawn(7, cycles=20), 500)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.judge.splitter.STOCK", 20)


def test_the_twin_bets_on_errors_as_the_real_code_does(stock: Stock) -> None:
    assert equality.errors(100, stock, (0.01, 0.03), 300, 5, 1) == 1500
    assert equality.errors(3, stock, (0.3, 0.3), 300, 5, 1) == 1500


def test_the_twin_bets_on_latency_as_the_real_code_does(stock: Stock) -> None:
    setting = latency.Setting(100, 500, slower=1.2)
    assert equality.latencies(setting, stock, 120, 5, 1) == 600


def test_a_twin_that_differs_is_noticed(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.judge.twin.rate_tests.HIGHER", (1.25, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0, 101.0))
    judge = twin.HigherRates(1.1, 0.001, 1)
    monkeypatch.undo()
    monkeypatch.setattr("bench.judge.splitter.STOCK", 20)
    monkeypatch.setattr("bench.judge.equality.twin.HigherRates", lambda *_: judge)
    with pytest.raises(TwinDiffersError, match="errors, run 0"):
        equality.errors(100, stock, (0.01, 0.5), 50, 1, 1)


def test_every_cycle_gives_the_canary_its_share_exactly(stock: Stock) -> None:
    split = Splitters(3, np.random.default_rng(1))
    got = sum(split.canary(np.full(3, 250), stock) for _ in range(10 * CYCLE // 250))
    assert (abs(np.asarray(got) - 5000) <= 6).all()
