"""What the log says of a disk that takes nothing, called every second. All else: `test_controller`, `test_rollouts`."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from canaryproxy.config import Config, parse
from canaryproxy.control.ports import (
    CorruptStateError,
    Store,
    TooNewStateError,
    UnreadableStateError,
    UnwritableStateError,
)
from canaryproxy.control.route_states import OPERATOR, RouteStates, StorageHealth
from canaryproxy.control.state import Audit, State, with_weight
from canaryproxy.storage.codec import read_state, write_state
from canaryproxy.storage.memory import MemoryStore
from tests.support.rollout_driver import JO, Bench, started

FAILS, WORKS = "state could not be written, retrying", "state is written again"


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "canaryproxy")


async def seconds(bench: Bench, count: int) -> None:
    for _ in range(count):
        await bench.rollouts.store_evidence()


async def test_a_full_disk_is_reported_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started("steps: [25, 50, 100]")
    await seconds(bench, 3)
    assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (0, 0)
    for times in (1, 2):
        bench.store.full = True
        await bench.rollouts.do("shop", "abort", JO)
        await seconds(bench, 5)
        assert not bench.ledger.durable
        assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (times, times - 1)
        bench.store.full = False
        await seconds(bench, 3)
        assert bench.ledger.durable
        assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (times, times)
        await bench.rollouts.do("shop", "retry", JO)


async def test_what_another_change_has_kept_along_is_reported_as_kept(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started("steps: [25, 50, 100]")
    bench.store.full = True
    await bench.rollouts.do("shop", "abort", JO)
    bench.store.full = False
    await bench.controller.set_weight("blog", 100, JO)
    assert bench.ledger.durable
    await seconds(bench, 3)
    assert (caplog.text.count(FAILS), caplog.text.count(WORKS)) == (1, 1)


class Broken(MemoryStore):
    """A store whose state is what a test says."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.full = False

    def load(self) -> State | None:
        if self.error is not None:
            raise self.error
        return None

    def save(self, state: State, audits: Sequence[Audit] = ()) -> None:
        if self.full:
            raise UnwritableStateError("no")
        super().save(state, audits)


def of(text: str) -> Config:
    return parse(f"routes: {{{text}}}", "f", {})


SHOP = "shop: {hosts: [a.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2', weight: 50}"
BLOG = SHOP.replace("shop", "blog").replace("a.test", "b.test")


@pytest.mark.parametrize(
    ("error", "health"), [(TooNewStateError("v2"), "too_new"), (UnreadableStateError("no permission"), "unreadable")]
)
async def test_beside_a_state_that_is_not_known_every_canary_is_off_also_of_routes_that_come_later(
    error: Exception, health: str
) -> None:
    store = Broken(error)
    store.full = True
    ledger = RouteStates(store, lambda: 0.0)
    await ledger.load(of(SHOP))
    ledger.follow(await ledger.apply_config(of(f"{SHOP}, {BLOG}"), 1))
    assert {name: (one.weight, one.off) for name, one in ledger.state.items()} == {"shop": (0, True), "blog": (0, True)}
    assert (ledger.condition.health, ledger.condition.detail) == (health, str(error))
    ledger.follow(await ledger.apply_config(of(f"{SHOP}, {BLOG}".replace("50", "60")), 1))
    assert all(one.off for one in ledger.state.values())


async def test_one_that_can_be_written_again_is_known_again() -> None:
    store = Broken(UnreadableStateError("no permission"))
    ledger = RouteStates(store, lambda: 0.0)
    await ledger.load(of(SHOP))
    await ledger.write("shop", with_weight(ledger.state["shop"], 100, 5000), OPERATOR, "weight", "0 -> 1", 1)
    assert ledger.condition.health == "ok"
    ledger.follow(await ledger.apply_config(of(f"{SHOP}, {BLOG}"), 1))
    assert not ledger.state["blog"].off


async def test_damage_is_reported_until_every_canary_was_decided_on() -> None:
    ledger = RouteStates(Broken(CorruptStateError("torn, moved to x")), lambda: 0.0)
    await ledger.load(of(SHOP))
    assert (ledger.condition.health, ledger.condition.detail) == ("damaged", "torn, moved to x")
    await ledger.write("shop", with_weight(ledger.state["shop"], 100, 5000), OPERATOR, "weight", "0 -> 1", 1)
    assert ledger.condition.health == "ok"


async def test_a_write_that_fails_is_reported_until_one_succeeds() -> None:
    store = Broken(CorruptStateError("x"))
    store.error = None
    ledger = RouteStates(store, lambda: 0.0)
    await ledger.load(of(SHOP))
    assert ledger.condition == StorageHealth()
    store.full = True
    with pytest.raises(UnwritableStateError):
        await ledger.write("shop", with_weight(ledger.state["shop"], 1, 5000), OPERATOR, "weight", "", 1)
    assert (ledger.condition.health, ledger.condition.detail) == ("unwritable", "no")
    store.full = False
    await ledger.write("shop", with_weight(ledger.state["shop"], 1, 5000), OPERATOR, "weight", "", 1)
    assert ledger.condition.health == "ok"


async def test_a_weight_is_kept_though_every_thread_waits_for_a_name_that_is_not_resolved() -> None:
    loop, over = asyncio.get_running_loop(), threading.Event()
    ledger = RouteStates(MemoryStore(), lambda: 7.0)
    await ledger.load(parse("routes:\n  shop: {stable: 'http://a.test:1', canary: 'http://a.test:2'}\n", "f", {}))
    after = replace(ledger.state["shop"], weight=200)
    loop.set_default_executor(ThreadPoolExecutor(1))
    waiting = [loop.run_in_executor(None, over.wait) for _ in range(5)]
    try:
        async with asyncio.timeout(60):
            await ledger.write("shop", after, OPERATOR, "weight", "0 -> 2", 1)
        assert ledger.state["shop"].weight == 200
    finally:
        over.set()
        await asyncio.gather(*waiting)


# Revisions.


class Disk(MemoryStore):
    """A store that the next process finds as the one before left it."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[str, str] = {}
        self.full = False

    def load(self) -> State | None:
        return {name: read_state(text) for name, text in self.documents.items()} or None

    def save(self, state: State, audits: Sequence[Audit] = ()) -> None:
        if self.full:
            raise UnwritableStateError("full")
        self.documents = {name: write_state(one) for name, one in state.items()}
        super().save(state, audits)


async def recalled(store: Store, text: str = SHOP, wall_clock: float = 1e9) -> RouteStates:
    ledger = RouteStates(store, lambda: wall_clock)
    await ledger.load(of(text))
    return ledger


async def test_the_revision_of_a_route_is_the_same_after_a_restart() -> None:
    disk = Disk()
    first = await recalled(disk)
    await first.write("shop", with_weight(first.state["shop"], 100, 5000), OPERATOR, "weight", "", 1)
    again = await recalled(disk, wall_clock=2e9)
    assert again.revision("shop") == first.revision("shop")


@pytest.mark.parametrize(
    "edited",
    [
        SHOP.replace("50", "60"),
        SHOP.replace("a.test", "c.test"),
        SHOP.replace(":2", ":3"),
        SHOP.replace("weight", "affinity: cookie, weight"),
        SHOP.replace("weight", "rollout: {bake: 1h}, weight"),
    ],
)
async def test_what_was_edited_while_no_process_ran_is_another_revision_of_that_route_alone(edited: str) -> None:
    disk = Disk()
    first = await recalled(disk, f"{SHOP}, {BLOG}")
    again = await recalled(disk, f"{edited}, {BLOG}")
    assert again.revision("shop") > first.revision("shop")
    assert again.revision("blog") == first.revision("blog")


async def test_a_revision_that_was_lost_with_its_process_is_never_that_of_something_else() -> None:
    disk = Disk()
    first = await recalled(disk)
    disk.full = True
    first.put("shop", with_weight(first.state["shop"], 0, 5000), OPERATOR, "abort", "", 1)
    lost = first.revision("shop")
    disk.full = False
    again = await recalled(disk, wall_clock=1e9 + 0.01)
    assert again.revision("shop") < lost
    await again.write("shop", with_weight(again.state["shop"], 9000, 5000), OPERATOR, "weight", "", 1)
    assert again.revision("shop") > lost


async def test_a_state_that_is_forgotten_takes_no_revision_with_it_that_comes_again() -> None:
    first = await recalled(MemoryStore())
    assert (await recalled(MemoryStore(), wall_clock=1e9 + 1)).revision("shop") > first.revision("shop")


async def test_revisions_rise_though_the_clock_goes_back() -> None:
    wall_clock = [1e9]
    ledger = RouteStates(MemoryStore(), lambda: wall_clock[0])
    await ledger.load(of(SHOP))
    seen, wall_clock[0] = [ledger.revision("shop")], 1.0
    for weight in (100, 200, 100):
        await ledger.write("shop", with_weight(ledger.state["shop"], weight, 5000), OPERATOR, "weight", "", 1)
        seen.append(ledger.revision("shop"))
    assert seen == sorted(set(seen))


async def test_a_config_as_before_writes_nothing_and_changes_no_revision() -> None:
    disk = Disk()
    ledger = await recalled(disk)
    before, disk.documents = ledger.revision("shop"), {}
    assert (await ledger.apply_config(of(SHOP), 1)).notices == {}
    assert (ledger.revision("shop"), disk.documents) == (before, {})
