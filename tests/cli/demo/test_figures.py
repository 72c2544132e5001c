"""Figures from deltas."""

from canaryproxy.cli.demo.figures import Board
from canaryproxy.model.failure import Outcome
from canaryproxy.telemetry.record.recorder import Recorder
from tests.telemetry.record.test_recorder import CANARY, STABLE


def test_figures_are_shares_rates_and_quantiles_per_version() -> None:
    board, recorder = Board("shop"), Recorder()
    board.add(recorder.flush(1, 100.0, []))
    for number in range(90):
        recorder.start(STABLE, 100.5).finish(Outcome.SUCCESS, 200 if number else 500, 0.02, 0.01)
    for _ in range(10):
        recorder.start(CANARY, 100.5).finish(Outcome.SUCCESS, 200, 0.02, 0.04)
    board.add(recorder.flush(1, 105.0, []))
    stable, canary = board.figures()
    assert (stable.requests, stable.share, stable.per_second) == (90, 90.0, 18.0)
    assert stable.errors is not None
    assert round(stable.errors, 2) == 1.11
    assert (canary.share, canary.errors) == (10.0, 0.0)
    assert canary.p95 is not None
    assert 39 < canary.p95 < 41


def test_the_rate_looks_back_ten_seconds() -> None:
    board, recorder = Board("shop"), Recorder()
    for second in range(30):
        recorder.start(STABLE, second).finish(Outcome.SUCCESS, 200, 0.1, 0.1)
        board.add(recorder.flush(1, float(second), []))
    assert 0.9 < board.figures()[0].per_second < 1.2
