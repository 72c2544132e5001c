"""Canaries that come and go, in the file and over the API: weight, rules, rollout, latch, what is kept and what is
reported.
"""

import asyncio
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config import Config, parse
from canaryproxy.config.canary_document import NO_CANARY, CanaryDocument, canary_set
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control.canary_changes import NoCanaryError, canary_text, check_removable, difference
from canaryproxy.control.fingerprint import fingerprints
from canaryproxy.control.route_states import Actor, RevisionConflictError
from canaryproxy.control.state import RouteState, effective, reconcile, with_canary, with_weight
from canaryproxy.rollout.plan import FULL_WEIGHT, Step
from canaryproxy.rollout.state import IllegalTransitionError, Observation, Rollout, RolloutEvent, Verb
from canaryproxy.storage.codec import read_state, write_state
from tests.support.admin import Api
from tests.support.rollout_driver import JO, Bench, started

CI = Actor("ci", "write")
PLAIN = "stable: http://a\n"
TWO = PLAIN + "canary: http://b\n"
TESTERS = RuleSet(rules_from_written([{"name": "t", "to": "canary"}, {"name": "s", "to": "stable"}]))
STEPS = (Step(100, 60.0), Step(FULL_WEIGHT, 60.0))


def config(text: str) -> Config:
    return parse(text, "f", {})


def heard(state: RouteState | None, text: str, now: float = 50.0) -> RouteState:
    said = config(text)
    known = {} if state is None else {"default": state}
    return reconcile(known, said, fingerprints(said), now)["default"]


def api(url: str) -> CanaryDocument:
    return canary_set({"url": url})


# By the file.


def test_a_canary_of_the_file_comes_with_its_weight_or_with_none() -> None:
    plain = heard(None, PLAIN)
    assert (plain.plain, plain.weight, plain.file_canary) == (True, 0, "")
    assert heard(plain, TWO).weight == 0
    came = heard(plain, TWO + "weight: 5\n")
    assert (came.plain, came.weight, came.weight_source, came.rollout.phase) == (False, 500, "file", "idle")


def test_a_canary_that_leaves_the_file_leaves_nothing_behind_that_a_later_one_would_get() -> None:
    state = replace(with_weight(heard(None, TWO + "weight: 5\n"), 1250, 500), rules=TESTERS)
    gone = heard(state, PLAIN)
    assert (gone.plain, gone.weight, gone.rollout.phase) == (True, 0, "idle")
    assert gone.rules is not None
    assert [rule.name for rule in gone.rules.rules] == ["s"]
    back = heard(gone, TWO)
    assert (back.weight, [rule.name for rule in back.rules.rules] if back.rules else None) == (0, ["s"])
    assert heard(gone, TWO + "weight: 5\n").weight == 500


@pytest.mark.parametrize("phase", ["progressing", "paused", "baking"])
def test_a_rollout_ends_with_its_canary_and_the_next_canary_begins_with_nothing(phase: str) -> None:
    rollout = Rollout(phase, steps=STEPS, step=0, weight=100, began=1.0, since=2.0, step_since=2.0)  # type: ignore[arg-type]
    gone = heard(replace(heard(None, TWO), rollout=rollout, weight=100, weight_source="rollout"), PLAIN)
    assert (gone.rollout.phase, gone.rollout.reason, gone.weight, gone.rollout.since) == (
        "rolled_back",
        "removed",
        0,
        50.0,
    )
    assert canary_text(gone)[0].severity == "warning"
    assert heard(gone, PLAIN) == gone
    again = heard(gone, TWO + "weight: 5\n")
    assert (again.rollout.phase, again.off, again.weight) == ("idle", False, 500)
    assert "may begin" in canary_text(again)[0].words


def test_a_rollout_that_succeeded_is_over_when_its_canary_is_removed() -> None:
    done = replace(
        heard(None, TWO), rollout=Rollout("succeeded", steps=STEPS, step=1, weight=FULL_WEIGHT), weight=FULL_WEIGHT
    )
    gone = heard(done, PLAIN)
    assert (gone.rollout.phase, gone.weight, "removed" in canary_text(gone)[0].words) == ("idle", 0, True)


def test_a_canary_that_was_taken_back_stays_off_when_it_leaves_and_comes_again() -> None:
    failed = Rollout("rolled_back", "verdict", "it failed", STEPS, 0)
    state = heard(heard(replace(heard(None, TWO), rollout=failed), PLAIN), TWO + "weight: 5\n")
    assert (state.rollout, state.weight, state.off) == (failed, 0, True)
    latched = replace(heard(None, TWO), latched="damaged")
    assert heard(heard(latched, PLAIN), TWO + "weight: 5\n").weight == 0


def test_one_on_its_way_back_gets_nothing_once_it_is_removed() -> None:
    state = replace(heard(None, TWO), rollout=Rollout("rolled_back", "verdict", "w", STEPS, 1, 100), weight=100)
    gone = heard(state, PLAIN)
    assert (gone.weight, gone.rollout.weight, gone.rollout.reason, gone.rollout.moves) == (0, 0, "verdict", False)


def test_a_state_from_before_canaries_could_be_left_out_is_continued() -> None:
    old = RouteState(500, "api", 0, "")
    assert (old.plain, heard(old, TWO).weight, heard(old, PLAIN).weight) == (False, 500, 0)


# By the API.


def test_a_canary_of_the_api_holds_until_the_file_says_another_one() -> None:
    state = with_canary(heard(None, PLAIN), api("http://x"), 9.0)
    assert (state.plain, state.canary_source, state.weight) == (False, "api", 0)
    assert heard(state, PLAIN) == state
    assert heard(state, PLAIN + "affinity: cookie\n") == state
    theirs = heard(state, TWO)
    assert (theirs.canary, theirs.canary_source, theirs.plain) == (None, "file", False)


def test_none_of_the_api_holds_until_the_file_says_another_one() -> None:
    state = with_canary(with_weight(heard(None, TWO + "weight: 5\n"), 0, 500), NO_CANARY, 9.0)
    assert (state.plain, state.canary_source) == (True, "api")
    assert heard(state, TWO + "weight: 5\n") == state
    assert heard(state, TWO + "weight: 7\n").weight == 0
    again = heard(state, PLAIN + "canary: http://c\nweight: 7\n")
    assert (again.plain, again.weight) == (False, 700)


def test_a_weight_that_the_file_gets_while_the_api_says_none_is_heard_then_and_never_applied_later() -> None:
    state = with_canary(heard(None, TWO), NO_CANARY, 9.0)
    edited = heard(state, TWO + "weight: 9\n")
    assert (edited.weight, edited.file_weight, edited.waiting) == (0, 900, None)
    back = with_canary(edited, api("http://x"), 9.0)
    assert heard(back, TWO + "weight: 9\n") == back
    assert heard(back, TWO + "weight: 8\n").weight == 800
    for weight in (9, 5):
        theirs = heard(edited, PLAIN + f"canary: http://c\nweight: {weight}\n")
        assert (theirs.plain, theirs.weight, theirs.weight_source) == (False, weight * 100, "file")
    off = replace(edited, latched="damaged")
    assert heard(off, PLAIN + "canary: http://c\nweight: 9\n").waiting == 900
    assert heard(off, PLAIN + "canary: http://c\n").waiting == 0


async def test_a_weight_that_has_no_effect_and_a_rollout_that_ends_with_its_canary_are_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench()
    await bench.reconfiguration.start()
    await bench.reconfiguration.set_canary("shop", NO_CANARY, CI)
    bench.text = lambda port: Bench(more="weight: 9").text(port)
    await bench.reload()
    assert "the file's weight of 9 % has no effect: the API says there is no canary" in caplog.text
    await bench.reconfiguration.set_canary("shop", api("http://127.0.0.1:7"), CI)
    await bench.reload()
    assert bench.shop.weight == 0
    await bench.rollouts.do("shop", "start", CI)
    bench.text = _without
    await bench.reload()
    [line] = [one for one in caplog.records if one.getMessage().startswith("shop: no canary any more")]
    assert (line.levelname, "the canary was removed" in line.getMessage()) == ("WARNING", True)


async def test_state_and_config_belong_together_in_every_moment_of_a_reload() -> None:
    bench = await started("steps: [10, 50, 100]")
    bench.text = lambda _: "hosts: [a.test]\nstable: http://127.0.0.1:1\n"
    reload = asyncio.create_task(bench.reload())
    while not reload.done():
        assert bench.topology.config.routes.keys() <= bench.ledger.state.keys()
        for name, route in bench.topology.config.routes.items():
            assert (route.canary is None) == bench.ledger.state[name].plain
        await asyncio.sleep(0)
    assert list(bench.ledger.state) == ["default"]


def test_the_config_that_holds_has_the_canaries_of_the_api() -> None:
    said = config(PLAIN)
    state = with_canary(heard(None, PLAIN), api("http://x"), 9.0)
    holds = effective(said, {"default": state})
    assert str(holds.routes["default"].sides[1].origins[0]) == "http://x:80"
    assert effective(said, {"default": heard(None, PLAIN)}) is said
    assert effective(config(TWO), {"default": with_canary(state, NO_CANARY, 9.0)}).routes["default"].canary is None


def test_what_is_kept_of_a_canary_is_read_again_or_ends_the_rollout() -> None:
    state = with_canary(heard(None, PLAIN), canary_set({"url": "https://x", "connect_timeout": "2s"}), 9.0)
    assert read_state(write_state(state)) == state
    rollout = Rollout("progressing", steps=STEPS, step=0, weight=100)
    assert state.canary is not None
    document = CanaryDocument(state.canary.written, None, "no such file")
    lost = replace(state, canary=document, rollout=rollout, weight=100)
    after = heard(lost, PLAIN)
    assert (after.plain, after.weight, after.rollout.reason) == (True, 0, "removed")
    assert "no such file" in after.rollout.why
    assert after.canary is not None
    assert after.canary.written == state.canary.written


STEPS_OF = st.lists(
    st.sampled_from(["file:none", "file:b", "file:c", "api:x", "api:y", "api:none", "restart", "weight"]), max_size=14
)


@given(STEPS_OF)
def test_the_later_of_file_and_api_always_holds_and_nothing_is_ever_sent_to_no_canary(steps: list[str]) -> None:
    written, holds = "none", "none"
    state = heard(None, PLAIN)
    for step in steps:
        kind, _, what = step.partition(":")
        if kind == "file":
            holds = what if what != written else holds
            written = what
            state = heard(state, PLAIN if what == "none" else f"{PLAIN}canary: http://{what}\n")
        elif kind == "api":
            holds = what
            state = with_canary(state, NO_CANARY if what == "none" else api(f"http://{what}"), 5.0)
        elif kind == "weight" and not state.plain:
            state = with_weight(state, 700, 0)
        else:
            text = PLAIN if written == "none" else f"{PLAIN}canary: http://{written}\n"
            state = heard(read_state(write_state(state)), text)
        said = effective(
            config(PLAIN if written == "none" else f"{PLAIN}canary: http://{written}\n"), {"default": state}
        )
        canary = said.routes["default"].canary
        assert ("none" if canary is None else canary.origins[0].host) == holds
        assert state.plain is (canary is None)
        assert not (state.plain and state.weight)


# What may be removed.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": 500}, "the canary gets 5 %; set its weight to 0 before it is removed"),
        (
            {"weight": FULL_WEIGHT, "rollout": Rollout("succeeded", weight=FULL_WEIGHT)},
            "the canary gets 100 %; reset the rollout before it is removed",
        ),
        (
            {"rollout": Rollout("progressing", steps=STEPS, step=0)},
            "the rollout is progressing; abort it before the canary is removed",
        ),
        (
            {"rollout": Rollout("rolled_back", steps=STEPS, step=0, weight=5)},
            "the rollout is rolled_back; abort it before the canary is removed",
        ),
    ],
)
def test_a_canary_in_use_is_not_removed(changes: dict[str, object], said: str) -> None:
    with pytest.raises(IllegalTransitionError, match=said.replace("(", r"\(")):
        check_removable("shop", replace(heard(None, TWO), **changes), ())  # type: ignore[arg-type]


def test_a_canary_that_rules_reach_is_not_removed() -> None:
    with pytest.raises(IllegalTransitionError, match=r"rules reach the canary, remove them first: t$"):
        check_removable("shop", heard(None, TWO), TESTERS.rules)
    check_removable("shop", heard(None, TWO), TESTERS.rules[1:])
    check_removable("shop", replace(heard(None, TWO), rollout=Rollout("rolled_back", "manual")), ())
    with pytest.raises(NoCanaryError, match="shop has no canary; name one in the config, or with PUT"):
        check_removable("shop", heard(None, PLAIN), ())


def test_a_change_is_reported_with_both_ends() -> None:
    sides = config("stable: {endpoints: ['http://a', 'http://b:1']}\ncanary: http://c").routes["default"].sides
    assert difference(None, sides[1]) == "none -> http://c:80"
    assert difference(sides[0], None) == "http://a:80 http://b:1 -> none"
    named = canary_set({"url": "http://x", "version": "v2"}).version
    slow = canary_set({"url": "http://x", "version": "v2", "connect_timeout": "9s"}).version
    assert difference(api("http://x").version, named) == "http://x:80 -> http://x:80 (v2)"
    assert difference(named, slow) == "http://x:80 (v2), with other settings"
    assert difference(slow, slow) == "http://x:80 (v2), as it was"


# Together.

GATEWAY = "  docs: {hosts: [c.test], stable: 'http://127.0.0.1:1', affinity: cookie, rollout: {steps: [50, 100]}}\n"


async def test_the_api_gives_a_route_a_canary_and_takes_it_again() -> None:
    bench = await Api(route=GATEWAY).start()
    events = bench.events.subscribe()
    assert events is not None
    table = bench.workers.tables[-1].routes[1]
    assert (table.name, table.canary, table.affinity, bench.judges.check_set("docs")) == ("docs", None, None, None)
    await bench.reconfiguration.set_canary("docs", api("http://127.0.0.1:7"), CI)
    table = bench.workers.tables[-1].routes[1]
    assert (table.versions[1].endpoints[0].port, table.weight, table.affinity is not None) == (7, 0, True)
    assert bench.judges.check_set("docs") is not None
    await bench.controller.set_weight("docs", 500, CI)
    with pytest.raises(IllegalTransitionError, match="set its weight to 0"):
        await bench.reconfiguration.set_canary("docs", NO_CANARY, CI)
    await bench.controller.set_weight("docs", 0, CI)
    await bench.reconfiguration.set_canary("docs", NO_CANARY, CI)
    assert bench.workers.tables[-1].routes[1].canary is None
    assert bench.judges.check_set("docs") is None
    kinds = [event.kind for event in (events.get_nowait() for _ in range(4)) if event is not None]
    assert kinds == ["canary", "weight", "weight", "canary"]
    history = await bench.ledger.history("docs", 10)
    assert [(one.action, one.detail) for one in history][-1] == ("canary", "none -> http://127.0.0.1:7")
    assert (history[0].action, history[0].detail, history[0].actor) == ("canary", "http://127.0.0.1:7 -> none", "ci")


async def test_a_stale_revision_sets_no_canary() -> None:
    bench = await Api(route=GATEWAY).start()
    with pytest.raises(RevisionConflictError):
        await bench.reconfiguration.set_canary("docs", api("http://b"), CI, revision=7)
    assert bench.topology.config.routes["docs"].canary is None


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "promote", "abort", "retry", "reset"])
async def test_no_verb_is_known_without_a_canary(verb: Verb) -> None:
    bench = await Api(route=GATEWAY).start()
    with pytest.raises(NoCanaryError, match="docs has no canary"):
        await bench.rollouts.do("docs", verb, CI)


async def test_neither_weight_nor_rules_without_a_canary() -> None:
    bench = await Api(route=GATEWAY).start()
    with pytest.raises(NoCanaryError):
        await bench.controller.set_weight("docs", 1, CI)
    assert (await bench.controller.set_weight("docs", 0, CI)).generation == 1
    for number, rule in enumerate(TESTERS.rules):
        if rule.reaches_canary:
            with pytest.raises(NoCanaryError):
                await bench.controller.set_rules("docs", lambda _: TESTERS.rules, CI)
        else:
            await bench.controller.set_rules("docs", lambda _, number=number: TESTERS.rules[number:], CI)  # type: ignore[misc]
    assert [rule.name for rule in bench.workers.tables[-1].routes[1].rules] == ["s"]


async def test_another_canary_over_the_api_begins_a_rollout_under_way_at_its_first_step() -> None:
    bench = await started("steps: [10, 50, 100]")
    await bench.rollouts.do("shop", "promote", JO)
    assert (bench.shop.rollout.step, bench.shop.weight) == (1, 5000)
    await bench.reconfiguration.set_canary("shop", api("http://127.0.0.1:9"), JO)
    assert (bench.shop.rollout.phase, bench.shop.rollout.step, bench.shop.weight) == ("progressing", 0, 1000)
    table = bench.workers.tables[-1].routes[0]
    assert (table.versions[1].endpoints[0].port, table.weight) == (9, 1000)
    await bench.reconfiguration.set_canary(
        "shop", canary_set({"url": "http://127.0.0.1:9", "connect_timeout": "2s"}), JO
    )
    assert bench.shop.rollout.step == 0


async def test_what_another_canary_does_to_a_rollout_is_kept_at_once_and_reported_no_matter_who_set_it() -> None:
    bench = await started("steps: [10, 50, 100]")
    await bench.reconfiguration.set_canary("shop", api("http://127.0.0.1:9"), CI)
    assert bench.ledger.durable
    assert bench.store.kept["shop"] == bench.shop
    first, second = await bench.ledger.history("shop", 2)
    assert (first.action, first.actor, "restarted" in first.detail) == ("rollout", "ci", True)
    assert (second.action, second.actor) == ("canary", "ci")


@pytest.mark.parametrize("verb", ["start", "abort"])
async def test_a_verb_that_meets_the_removal_of_the_canary_begins_nothing(verb: Verb) -> None:
    bench = await Api(route=GATEWAY).start()
    await bench.reconfiguration.set_canary("docs", api("http://127.0.0.1:7"), CI)
    async with bench.ledger.writing:
        removal = asyncio.create_task(bench.reconfiguration.set_canary("docs", NO_CANARY, CI))
        await asyncio.sleep(0)
        asked = asyncio.create_task(bench.rollouts.do("docs", "start", CI))
        await asyncio.sleep(0)
    await removal
    with pytest.raises(NoCanaryError):
        await asked
    with pytest.raises(NoCanaryError):
        await bench.controller.apply_event("docs", bench.observations.plan("docs"), RolloutEvent(verb), CI)
    state = bench.ledger.state["docs"]
    assert (state.plain, state.weight, state.rollout.phase) == (True, 0, "idle")


async def test_a_rollout_that_begins_by_itself_does_so_for_a_canary_that_comes() -> None:
    bench = Bench("steps: [10, 100], start: auto")
    with_canary, bench.text = bench.text, _without
    bench.topology.file = bench.topology.config = parse(bench.text(2), "f", {})
    await bench.reconfiguration.start()
    assert bench.topology.config.routes["shop"].canary is None
    bench.text = with_canary
    await bench.reload()
    assert (bench.shop.rollout.phase, bench.shop.weight) == ("progressing", 1000)


@pytest.mark.parametrize("by", ["file", "api"])
async def test_a_canary_that_the_judge_took_back_does_not_begin_by_itself_for_having_been_away(by: str) -> None:
    bench = Bench("steps: [10, 100], start: auto")
    with_canary = bench.text
    await bench.reconfiguration.start()
    await bench.rollouts.do("shop", "start", JO)
    await bench.controller.apply_event(
        "shop",
        bench.observations.plan("shop"),
        RolloutEvent("tick", Observation("fail", "it failed")),
        Actor("e", "engine"),
    )

    async def say(url: str) -> None:
        if by == "api":
            await bench.reconfiguration.set_canary("shop", api(url) if url else NO_CANARY, CI)
        else:
            bench.text = (lambda _: with_canary(int(url[-1]))) if url else _without
            await bench.reload()
        await asyncio.gather(*bench.rollouts._urgent)

    for _ in range(2):
        await say("")
        await bench.reload()
        await say("http://127.0.0.1:2")
        assert (bench.shop.rollout.phase, bench.shop.rollout.reason) == ("rolled_back", "verdict")
    await say("")
    await say("http://127.0.0.1:3")
    assert bench.shop.rollout.phase == "progressing"
    await say("http://127.0.0.1:2")
    assert bench.shop.rollout.phase == "progressing"


async def test_rules_of_the_file_reach_nothing_while_the_api_says_there_is_no_canary() -> None:
    bench = Bench()
    await bench.reconfiguration.start()
    await bench.reconfiguration.set_canary("shop", NO_CANARY, CI)
    rules = "rules: [{name: t, to: canary}, {name: h, to: stable, percent: 50}, {name: s, to: stable}]"
    bench.text = lambda port: Bench(more=rules).text(port)
    await bench.reload()
    assert [rule.name for rule in bench.workers.tables[-1].routes[0].rules] == ["s"]
    await bench.reconfiguration.set_canary("shop", api("http://127.0.0.1:7"), CI)
    assert [rule.name for rule in bench.workers.tables[-1].routes[0].rules] == ["t", "h", "s"]


async def test_one_on_its_way_back_that_is_removed_is_counted_once() -> None:
    bench = await started("steps: [10, 50, 100], rollback_step: 1h")
    await bench.rollouts.do("shop", "promote", JO)
    await bench.rollouts._roll(
        "shop", bench.observations.plan("shop"), RolloutEvent("tick", Observation("fail", "it failed")), JO
    )
    assert (bench.shop.rollout.phase, bench.shop.weight) == ("rolled_back", 1000)
    bench.text = _without
    await bench.reload()
    assert (bench.shop.plain, bench.shop.weight) == (True, 0)
    assert dict(bench.notifier.ended) == {("shop", "rolled_back", "verdict"): 1}


def _without(_: int) -> str:
    return (
        "routes:\n  shop: {hosts: [a.test], stable: 'http://127.0.0.1:1', rollout: {steps: [10, 100], start: auto}}\n"
        "  blog: {hosts: [b.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}\n"
    )


async def test_a_file_that_drops_the_canary_ends_the_rollout_with_an_event_and_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = await started("steps: [50, 100]")
    events = bench.events.subscribe()
    assert events is not None
    bench.text = _without
    with caplog.at_level(logging.INFO, "canaryproxy"):
        await bench.reload()
    assert (bench.shop.rollout.phase, bench.shop.rollout.reason, bench.shop.weight) == ("rolled_back", "removed", 0)
    assert bench.workers.tables[-1].routes[0].canary is None
    assert bench.notifier.ended["shop", "rolled_back", "removed"] == 1
    kinds = {event.kind for event in (events.get_nowait() for _ in range(events.qsize())) if event is not None}
    assert {"canary", "phase"} <= kinds
    assert "canary of shop: http://127.0.0.1:2 -> none, by the config" in caplog.text
    assert "the rollout has ended, all traffic goes to stable: the canary was removed" in caplog.text
    history = await bench.ledger.history("shop", 3)
    assert any("the canary was removed" in one.detail for one in history)
    for _ in range(3):
        await bench.second()
    assert bench.shop.rollout.reason == "removed"


async def test_an_abort_while_the_file_is_being_heard_loses_neither() -> None:
    bench = await started("steps: [50, 100]")
    bench.text = _without
    await asyncio.gather(bench.reload(), bench.rollouts.do("shop", "abort", JO))
    assert (bench.shop.weight, bench.shop.plain, bench.shop.rollout.phase) == (0, True, "rolled_back")
    assert bench.workers.tables[-1].routes[0].canary is None


async def test_a_thousand_plain_routes_cost_nothing_each_second() -> None:
    bench = Bench()
    plain = "".join(
        f"  r{n}: {{hosts: [r{n}.test], stable: 'http://127.0.0.1:1', affinity: cookie}}\n" for n in range(1000)
    )
    bench.topology.file = bench.topology.config = parse(f"routes:\n{plain}", "f", {})
    await bench.reconfiguration.start()
    await bench.rollouts.tick()

    class Untouched(dict[str, object]):
        """Routes that must not be walked."""

        def __iter__(self) -> None:  # type: ignore[override]
            raise AssertionError("every route was looked at")

        items = values = keys = __iter__  # type: ignore[assignment]

    object.__setattr__(bench.topology.config, "routes", Untouched(bench.topology.config.routes))
    bench.ledger.state = bench.ledger.state
    assert (repr(bench.judges), bench.rollouts.under_way) == ("<Judges of 0 routes>", [])
    for _ in range(3):
        await bench.judges.tick(bench.now)
        await bench.rollouts.tick()
        await bench.rollouts.store_evidence()
