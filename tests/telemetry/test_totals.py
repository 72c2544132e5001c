"""Deltas added up."""

from canaryproxy.model.outcome import Outcome
from canaryproxy.telemetry.record import Recorder
from canaryproxy.telemetry.totals import Totals
from tests.telemetry.test_record import CANARY, STABLE


def test_totals_are_told_in_one_sentence() -> None:
    recorder, totals = Recorder(), Totals()
    assert str(totals) == "0 requests"
    for decision, code in ((STABLE, 200), (STABLE, 503), (CANARY, 404)):
        recorder.start(decision, 1.0).finish(Outcome.SUCCESS, code, 0.1, 0.1)
    totals.add(recorder.flush(1, 1.0, []))
    recorder.refuse(400)
    totals.add(recorder.flush(1, 2.0, []))
    assert str(totals) == "4 requests: shop canary 1 (0 failed), shop stable 2 (1 failed), refused 1"
