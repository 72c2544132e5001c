"""Counting: nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.failure import Outcome
from canaryproxy.routing.compiled_route import build_choices
from canaryproxy.telemetry.record import recorder as module
from canaryproxy.telemetry.record.recorder import CounterCell, Recorder
from tests.routing.test_route_index import route

ROUTE = route("shop")
(STABLE,), (CANARY,) = (verdict.decisions() for verdict in build_choices(ROUTE, "weight"))


def test_an_exchange_is_counted_in_the_second_it_began() -> None:
    recorder = Recorder()
    cell = recorder.start(CANARY, 10.9)
    (first,) = recorder.flush(1, 11.0, [(cell, True)]).cells
    cell.connected(0.001)
    cell.finish(Outcome.SUCCESS, 200, 0.5, 0.4)
    (second,) = recorder.flush(1, 12.0, []).cells
    assert (first.second, first.starts, first.codes) == (10, 1, {})
    assert (second.second, second.starts) == (10, 0)
    assert second.outcomes == {"success": 1}
    assert second.codes == {200: 1}
    assert sum(second.connect.values()) == 1
    assert max(second.latency) < max(second.duration)
    assert first.key == ("shop", "canary", "a:1", "weight", True)


@given(st.lists(st.floats(0, 100), max_size=20), st.lists(st.floats(0, 100), max_size=5))
def test_the_usual_exchange_is_reported_as_if_it_had_been_counted_like_any_other(
    usual: list[float], others: list[float]
) -> None:
    reports = []
    for brief in (True, False):
        recorder = Recorder()
        cell = recorder.start(CANARY, 10.0)
        for duration in others:
            cell.finish(Outcome.SUCCESS, 404, duration, None)
        for duration in usual:
            if brief:
                cell.succeed(duration)
            else:
                cell.finish(Outcome.SUCCESS, 200, duration, duration)
        reports.append(recorder.flush(1, 12.0, []).cells)
    assert reports[0] == reports[1]


def test_the_usual_exchange_that_ends_after_a_report_is_in_the_next_one() -> None:
    recorder = Recorder()
    cell = recorder.start(CANARY, 10.0)
    recorder.flush(1, 11.0, [])
    cell.succeed(0.5)
    (delta,) = recorder.flush(1, 12.0, []).cells
    assert (delta.second, delta.starts, delta.outcomes, delta.codes) == (10, 0, {"success": 1}, {200: 1})
    assert delta.latency == delta.duration
    assert recorder.flush(1, 13.0, []).cells == ()


def test_what_was_repeated_is_kept_apart_and_unjudged_has_no_latency() -> None:
    recorder = Recorder()
    cell = recorder.start(STABLE, 1.0)
    cell.repeat(Outcome.RESET)
    cell.finish(Outcome.TIMEOUT, 504, 30.0, None)
    (delta,) = recorder.flush(1, 2.0, []).cells
    assert (delta.retried, delta.outcomes, delta.latency) == ({"reset": 1}, {"timeout": 1}, {})


def test_answers_before_any_decision_are_counted_by_code() -> None:
    recorder = Recorder()
    for code in (400, 404, 400):
        recorder.refuse(code)
    assert recorder.flush(1, 1.0, []).refused == {400: 2, 404: 1}
    assert recorder.flush(1, 1.0, []).refused == {}


def test_exchanges_open_for_a_second_are_overdue() -> None:
    recorder = Recorder()
    old, young = recorder.start(STABLE, 5.5), recorder.start(STABLE, 7.1)
    overdue = recorder.flush(1, 7.2, [(old, True), (old, False), (old, True), (young, True)]).overdue
    assert [(one.second, one.count) for one in overdue] == [(5, 2)]


def test_what_is_overdue_is_reported_by_coarser_seconds_where_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OVERDUE", 5)
    recorder = Recorder()
    cells = [recorder.start(STABLE, float(second)) for second in range(100, 124)]
    overdue = recorder.flush(1, 130.0, [(cell, True) for cell in cells for _ in range(2)]).overdue
    assert [(one.second, one.count) for one in overdue] == [(103, 8), (111, 16), (119, 16), (123, 8)]
    monkeypatch.setattr(module, "COARSEST_SECONDS", 2)
    assert len(recorder.flush(1, 130.0, [(cell, True) for cell in cells]).overdue) == 12


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("start"), st.floats(0, 5)),
            st.sampled_from(
                [
                    (step, 0.0)
                    for step in ("end", "succeed", "flush", "repeat", "connect", "refuse", "rescue", "eject", "reply")
                ]
            ),
        )
    )
)
def test_any_order_of_starts_ends_and_flushes_adds_up(steps: list[tuple[str, float]]) -> None:
    recorder = Recorder()
    running: list[CounterCell] = []
    now = 0.0
    started = ended = 0
    done: Counter[str] = Counter()
    tables = [build_choices(ROUTE, "weight") for _ in range(2)]
    seen: Counter[str] = Counter()

    def flush() -> None:
        delta = recorder.flush(1, now, [(one, True) for one in running])
        seen["refuse"] += sum(delta.refused.values())
        for cell in delta.cells:
            seen["starts"] += cell.starts
            seen["ends"] += sum(cell.codes.values())
            seen["repeat"] += sum(cell.retried.values())
            seen["connect"] += sum(cell.connect.values())
            seen["rescue"] += sum(cell.rescues.values())
            seen["eject"] += cell.ejections
            seen["reply"] += sum(cell.replies.values())
            assert sum(cell.outcomes.values()) == sum(cell.codes.values()) == sum(cell.duration.values())

    for step, value in steps:
        if step == "start":
            now += value
            side = tables[started % 2][value < 2]
            running.append(recorder.start(side.decisions()[0], now))
            started += 1
        elif step == "end" and running:
            running.pop(0).finish(Outcome.SUCCESS, 200, 0.1, 0.1)
            ended += 1
        elif step == "succeed" and running:
            running.pop(0).succeed(0.1)
            ended += 1
        elif step == "flush":
            flush()
        elif step == "refuse":
            recorder.refuse(400)
            done[step] += 1
        elif running:
            acts: dict[str, Callable[[CounterCell], None]] = {
                "repeat": lambda cell: cell.repeat(Outcome.RESET),
                "connect": lambda cell: cell.connected(0.1),
                "rescue": lambda cell: cell.rescue("fallback"),
                "eject": CounterCell.eject,
                "reply": lambda cell: cell.reply(503),
            }
            if step in acts:
                acts[step](running[-1])
                done[step] += 1
    flush()
    assert (seen["starts"], seen["ends"]) == (started, ended)
    assert all(seen[step] == count for step, count in done.items())
