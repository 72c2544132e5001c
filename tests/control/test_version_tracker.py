"""Canaries that are replaced where they are."""

import asyncio
from typing import Any

import pytest

from canaryproxy.control.results import NoSuchRouteError
from canaryproxy.control.version_tracker import VersionTracker, as_named, retried, with_missing
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.state import IllegalTransitionError, RolloutEvent
from tests.support.rollout_driver import JO, TEXT, Bench


async def test_a_canary_that_calls_itself_something_else_starts_over_once_it_has_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench("steps: [5, 25, 50, 100], start: auto", canary=", health: {path: /, version_header: x-version}")
    data = "1.0"
    monkeypatch.setattr(VersionTracker, "announced_name", lambda *words: data if words[-1] == "canary" else "")
    await bench.reconfiguration.start()
    for _ in range(3):
        await bench.second()
    assert bench.shop.rollout.phase == "idle"
    data = "2.0"
    for _ in range(10):
        await bench.second()
    assert bench.shop.rollout.phase == "idle"
    await bench.second()
    assert (bench.shop.rollout.phase, bench.weight("shop")) == ("progressing", 500)
    await bench.until("progressing")
    await bench.rollouts.do("shop", "promote", JO)
    for data in ("3.0", "2.0", "3.0", ""):  # noqa: B007
        for _ in range(2):
            await bench.second()
    assert bench.shop.rollout.step == 1
    data = "3.0"
    for _ in range(7):
        await bench.second()
    assert bench.shop.rollout.step == 0
    assert bench.judges.analysis("shop", bench.now).exposed.requests < 100


class Named(Bench):
    """A route whose versions say what they are called, as a test has it."""

    def __init__(self, rollout: str = "") -> None:
        super().__init__(f"steps: [5, 25, 50, 100]{rollout}", canary=", health: {path: /, version_header: x-version}")
        self.called = {"stable": "1.0", "canary": "1.1"}

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            await self.second()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Named:
    bench = Named()
    monkeypatch.setattr(VersionTracker, "announced_name", lambda *words: bench.called[words[-1]])
    return bench


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> Named:
    bench = Named(", start: auto")
    monkeypatch.setattr(VersionTracker, "announced_name", lambda *words: bench.called[words[-1]])
    return bench


async def test_every_event_and_every_entry_says_which_rollout_and_which_versions(named: Named) -> None:
    await named.reconfiguration.start()
    queue = named.events.subscribe()
    assert queue is not None
    await named.controller.set_weight("shop", 100, JO)
    done = await named.rollouts.do("shop", "start", JO)
    mine = done.rollout.identity
    await named.rollouts.do("shop", "abort", JO)
    await named.rollouts.do("shop", "reset", JO)
    data = [queue.get_nowait() for _ in range(queue.qsize())]
    about = [
        (one.detail["rollout_id"], one.detail["stable_version"], one.detail["canary_version"])
        for one in data
        if one is not None
    ]
    assert about == [(None, "1.0", "1.1"), *[(mine.id, "1.0", "1.1")] * 3]
    entries = await named.ledger.history("shop", 10)
    assert [(one.action, one.rollout_id, one.canary_version) for one in entries] == [
        ("reset", mine.id, "1.1"),
        ("abort", mine.id, "1.1"),
        ("start", mine.id, "1.1"),
        ("weight", "", ""),
    ]


async def test_a_name_that_is_not_known_at_the_start_is_noted_when_it_is(named: Named) -> None:
    named.called = {"stable": "", "canary": ""}
    await named.reconfiguration.start()
    begun = (await named.rollouts.do("shop", "start", JO)).rollout.identity
    named.called = {"stable": "1.0", "canary": "1.1"}
    await named.second()
    assert named.shop.rollout.identity == RolloutIdentity(begun.id, "", "1.1", "1.0")
    named.called = {"stable": "", "canary": ""}
    await named.second()
    assert named.shop.rollout.identity.canary == "1.1"


async def test_a_version_that_was_named_and_arrives_a_little_later_is_that_one(named: Named) -> None:
    await named.reconfiguration.start()
    await named.seconds(3)
    begun = (await named.rollouts.do("shop", "start", JO, version="1.2")).rollout.identity
    await named.seconds(2)
    named.called["canary"] = "1.2"
    await named.seconds(13)
    now = named.shop.rollout
    assert (now.identity.id, now.identity.canary, now.identity.announced) == (begun.id, "1.2", "1.2")
    named.called["canary"] = "1.3"
    await named.seconds(11)
    assert named.shop.rollout.identity.id != begun.id
    assert [one.result for one in named.shop.past] == ["superseded"]
    assert named.notifier.ended["shop", "superseded", ""] == 1
    assert named.shop.past[0].report["exposed"]["requests"] > 0


async def test_a_start_whose_gates_take_long_does_not_take_the_place_of_a_later_one() -> None:
    bench = Bench("hooks: [{name: g, when: start, url: 'http://g'}]")
    await bench.reconfiguration.start()
    answers = [asyncio.Event(), asyncio.Event()]
    posted: list[str] = []

    async def slow(*words: Any) -> str:
        posted.append(next(one for one in words if isinstance(one, dict))["canary_version"])
        await answers[len(posted) - 1].wait()
        return ""

    bench.rollouts._hooks._post = slow
    early = asyncio.create_task(bench.rollouts.do("shop", "start", JO, version="v2"))
    await asyncio.sleep(0)
    late = asyncio.create_task(bench.rollouts.do("shop", "start", JO, version="v3"))
    await asyncio.sleep(0)
    assert posted == ["v2", "v3"]
    answers[1].set()
    assert (await late).rollout.identity.canary == "v3"
    answers[0].set()
    with pytest.raises(IllegalTransitionError, match=r"while the gates were asked, rollout .* of v3 began"):
        await early
    assert bench.shop.rollout.identity.canary == "v3"


@pytest.mark.parametrize("text", [TEXT.replace("{port}", "9"), "stable: http://127.0.0.1:1\n"])
async def test_a_start_whose_gates_were_asked_about_another_canary_or_a_route_that_left_begins_nothing(
    text: str,
) -> None:
    bench = Bench("hooks: [{name: g, when: start, url: 'http://g'}]")
    await bench.reconfiguration.start()
    answer = asyncio.Event()

    async def slow(*_: Any) -> str:
        await answer.wait()
        return ""

    bench.rollouts._hooks._post = slow
    early = asyncio.create_task(bench.rollouts.do("shop", "start", JO, version="v2"))
    await asyncio.sleep(0)
    bench.text = lambda _: text.format(rollout="", more="", canary="") if "{" in text else text
    await bench.reload()
    answer.set()
    with pytest.raises((IllegalTransitionError, NoSuchRouteError), match=r"the canary became another one|^shop$"):
        await early
    assert all(one.rollout.phase == "idle" for one in bench.ledger.state.values())


async def test_an_abort_of_another_rollout_does_not_stop_a_start_that_asks_its_gates() -> None:
    bench = Bench("hooks: [{name: g, when: start, url: 'http://g'}]")
    await bench.reconfiguration.start()
    answer = asyncio.Event()

    async def slow(*_: Any) -> str:
        await answer.wait()
        return ""

    bench.rollouts._hooks._post = slow
    start = asyncio.create_task(bench.rollouts.do("shop", "start", JO, version="v2"))
    await asyncio.sleep(0)
    with pytest.raises(IllegalTransitionError, match="rollout 20200101-000000-aaaaa is over"):
        await bench.rollouts.do("shop", "abort", JO, only="20200101-000000-aaaaa")
    answer.set()
    assert (await start).rollout.phase == "progressing"


async def test_a_rollout_that_would_begin_by_itself_for_a_canary_that_is_gone_says_so_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench("start: auto, hooks: [{name: g, when: start, url: 'http://g'}]")
    await bench.reconfiguration.start()
    answer = asyncio.Event()

    async def slow(*_: Any) -> str:
        await answer.wait()
        return ""

    bench.rollouts._hooks._post = slow
    bench.port = 9
    await bench.reconfiguration.reload()
    await asyncio.sleep(0)
    bench.text = lambda _: "stable: http://127.0.0.1:1\n"
    await bench.reconfiguration.reload()
    answer.set()
    await asyncio.gather(*bench.rollouts._urgent)
    assert "Traceback" not in caplog.text
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_by_itself_the_next_version_begins_after_the_judge_took_one_back_and_not_after_a_person(
    auto: Named,
) -> None:
    await auto.reconfiguration.start()
    await auto.seconds(2)
    auto.called["canary"] = "1.2"
    await auto.seconds(11)
    assert auto.shop.rollout.phase == "progressing"
    auto.errors["canary"] = 1.0
    await auto.until("rolled_back")
    await auto.seconds(12)
    assert (auto.shop.rollout.phase, auto.shop.past[-1].identity.canary) == ("rolled_back", "1.2")
    auto.errors["canary"], auto.called["canary"] = 0.0, "1.3"
    await auto.seconds(11)
    assert (auto.shop.rollout.phase, auto.shop.rollout.identity.canary) == ("progressing", "1.3")
    await auto.rollouts.do("shop", "abort", JO)
    auto.called["canary"] = "1.4"
    await auto.seconds(12)
    assert (auto.shop.rollout.phase, auto.shop.rollout.reason) == ("rolled_back", "manual")


async def test_a_canary_that_is_what_stable_is_begins_nothing_by_itself(auto: Named) -> None:
    await auto.reconfiguration.start()
    await auto.seconds(2)
    auto.called["canary"] = "1.0"
    await auto.seconds(12)
    assert auto.shop.rollout.phase == "idle"


async def test_once_stable_is_what_succeeded_all_traffic_goes_to_it_by_itself(auto: Named) -> None:
    await auto.reconfiguration.start()
    await auto.rollouts.do("shop", "start", JO)
    await auto.rollouts.do("shop", "promote", JO, full=True)
    await auto.rollouts.do("shop", "promote", JO)
    await auto.seconds(12)
    assert auto.shop.rollout.phase == "succeeded"
    auto.called["stable"] = "1.1"
    await auto.seconds(10)
    assert auto.shop.rollout.phase == "succeeded"
    await auto.seconds(2)
    assert (auto.shop.rollout.phase, auto.weight("shop")) == ("idle", 0)


async def test_without_being_asked_to_nothing_is_reset(named: Named) -> None:
    await named.reconfiguration.start()
    await named.rollouts.do("shop", "start", JO)
    await named.rollouts.do("shop", "promote", JO, full=True)
    await named.rollouts.do("shop", "promote", JO)
    named.called["stable"] = "1.1"
    await named.seconds(15)
    assert named.shop.rollout.phase == "succeeded"


def test_what_is_known_of_a_rollout_is_not_overwritten() -> None:
    now = RolloutIdentity("two", "", "1.1", "1.0")
    assert with_missing(RolloutIdentity("one"), now) == RolloutIdentity("one", "", "1.1", "1.0")
    assert with_missing(RolloutIdentity("one", "v", "a", "b"), now) == RolloutIdentity("one", "v", "a", "b")


def test_a_second_try_keeps_the_name_unless_the_canary_is_another_one() -> None:
    assert retried(RolloutIdentity("one", "v1", "1.0"), RolloutIdentity("two", "", "1.0")).given == "v1"
    assert retried(RolloutIdentity("one", "v1", "1.0"), RolloutIdentity("two")).given == "v1"
    assert retried(RolloutIdentity("one", "v1", "1.0"), RolloutIdentity("two", "", "1.1")).given == ""


@pytest.mark.parametrize(
    ("mine", "said", "age", "kind", "same"),
    [
        (RolloutIdentity("one", "v2", "v1"), "v2", 500.0, "named", True),
        (RolloutIdentity("one", "sha2", "1.0"), "1.1", 15.0, "changed", True),
        (RolloutIdentity("one", "sha2", "1.0"), "1.1", 25.0, "changed", False),
        (RolloutIdentity("one", "v2", "v2"), "v3", 15.0, "changed", False),
        (RolloutIdentity("one", "", "v1"), "v2", 15.0, "changed", False),
    ],
)
def test_whether_it_is_the_one_that_was_named(
    mine: RolloutIdentity, said: str, age: float, kind: str, same: bool
) -> None:
    event = as_named(mine, RolloutEvent("changed", identity=RolloutIdentity("two", "", said)), age)
    assert (event.kind, event.identity.id == "one") == (kind, same)


def versions(canary: str) -> VersionTracker:
    bench = Bench(canary=canary)
    return VersionTracker(bench.topology, bench.ledger, lambda: bench.now, lambda: bench.now)


def test_a_version_is_called_what_its_endpoints_agree_upon_or_what_the_config_says() -> None:
    assert versions(", version: v42").announced_name("shop", "canary") == "v42"
    assert versions(", version: v42, health: {path: /}").announced_name("shop", "canary") == "v42"
    assert versions("").announced_name("shop", "canary") == versions("").announced_name("shop", "stable") == ""
    asked = Bench(canary=", version: v42, health: {path: /, version_header: x-version}")
    found = VersionTracker(asked.topology, asked.ledger, lambda: 0.0, lambda: 0.0)
    assert found.announced_name("shop", "canary") == ""
    ((endpoint, _),) = asked.topology.endpoints("shop")["canary"]
    asked.topology.health.versions[endpoint] = "1.0"
    assert found.announced_name("shop", "canary") == "1.0"


async def test_another_name_in_the_config_is_another_canary_and_the_report_of_the_one_before_stays() -> None:
    bench = Bench("steps: [5, 25, 50, 100]", canary=", version: v1")
    await bench.reconfiguration.start()
    begun = (await bench.rollouts.do("shop", "start", JO)).rollout.identity
    assert begun.canary == "v1"
    for _ in range(3):
        await bench.second()
    text = bench.text
    bench.text = lambda port: text(port).replace("version: v1", "version: v2")
    await bench.reload()
    now = bench.shop.rollout
    assert (now.identity.canary, now.step, now.identity.id != begun.id) == ("v2", 0, True)
    (gone,) = bench.shop.past
    assert (gone.identity, gone.result, gone.superseded_by) == (begun, "superseded", now.identity.id)
    assert gone.report["exposed"]["requests"] > 0
    assert bench.notifier.ended["shop", "superseded", ""] == 1
