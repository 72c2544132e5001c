"""What is remembered of rollouts that are over."""

from dataclasses import replace

from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.record import MAX_RECORDS, RolloutRecord, present, records, with_record
from canaryproxy.rollout.state import Rollout

ONE = Rollout("progressing", began=5.0, identity=RolloutIdentity("one", "v1"))
BACK = replace(ONE, phase="rolled_back", reason="verdict", why="canary failed", since=9.0)
REPORT = {"verdict": "fail"}


def test_an_end_is_remembered_with_the_report_of_that_moment() -> None:
    assert with_record((), ONE, BACK, REPORT, 9.0) == (
        RolloutRecord(ONE.identity, "rolled_back", "verdict", "canary failed", 5.0, 9.0, "", REPORT),
    )
    (good,) = with_record((), replace(ONE, phase="baking"), replace(ONE, phase="succeeded"), {}, 9.0)
    assert (good.result, good.identity.canary) == ("succeeded", "v1")


def test_nothing_is_remembered_of_what_goes_on() -> None:
    for after in (ONE, replace(ONE, phase="paused"), replace(ONE, phase="baking")):
        assert with_record((), ONE, after, REPORT, 9.0) == ()
    past = with_record((), ONE, BACK, REPORT, 9.0)
    assert with_record(past, BACK, replace(BACK, weight=0), {}, 10.0) == past
    assert with_record(past, BACK, Rollout(identity=BACK.identity), {}, 10.0) == past


def test_one_whose_place_another_one_takes_is_superseded() -> None:
    two = Rollout("progressing", began=7.0, identity=RolloutIdentity("two", "v2"))
    (gone,) = with_record((), ONE, two, REPORT, 7.0)
    assert (gone.result, gone.superseded_by, gone.why) == ("superseded", "two", "rollout two of v2 took its place")
    assert gone.report == REPORT
    past = with_record((), ONE, BACK, REPORT, 9.0)
    assert with_record(past, BACK, two, {}, 10.0) == past


def test_one_that_succeeded_and_is_taken_back_all_the_same_is_so() -> None:
    done = replace(ONE, phase="succeeded")
    past = with_record((), ONE, done, REPORT, 9.0)
    (one,) = with_record(past, done, BACK, {}, 11.0)
    assert (one.result, one.ended) == ("rolled_back", 11.0)


def test_only_the_last_ones_are_remembered_and_none_without_an_id() -> None:
    past: tuple[RolloutRecord, ...] = ()
    for number in range(MAX_RECORDS + 3):
        begun = replace(ONE, identity=RolloutIdentity(f"{number}"))
        past = with_record(past, begun, replace(begun, phase="succeeded"), {}, 1.0)
    assert [one.identity.id for one in past] == [f"{number}" for number in range(3, MAX_RECORDS + 3)]
    nameless = replace(ONE, identity=RolloutIdentity())
    assert with_record((), nameless, replace(nameless, phase="succeeded"), {}, 1.0) == ()


def test_the_one_under_way_comes_first() -> None:
    past = with_record((), ONE, BACK, REPORT, 9.0)
    two = Rollout("progressing", began=7.0, identity=RolloutIdentity("two", "v2"))
    assert [(one.identity.id, one.result) for one in records(past, two)] == [
        ("two", "under_way"),
        ("one", "rolled_back"),
    ]
    assert records(past, BACK) == list(past)
    assert records(past, Rollout(identity=BACK.identity)) == list(past)
    assert present(Rollout(identity=BACK.identity)) is None
    (lost,) = records((), BACK)
    assert (lost.result, lost.ended, lost.report) == ("rolled_back", 9.0, {})
