"""What is known of a canary outlives the process."""

import json
from pathlib import Path

import pytest

from canaryproxy.config import parse
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.rollout_driver import JO, Bench, started


async def test_a_process_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    first = Bench("steps: [25, 50, 100]")
    first.ledger._store = SqliteStore(tmp_path / "state.db")
    await first.reconfiguration.start()
    for _ in range(5):
        await first.second()
    await first.rollouts.do("shop", "start", JO)
    for _ in range(7):
        await first.second()
        await first.rollouts.store_evidence()
    evidence = first.judges.analysis("shop", first.now)
    await first.close()

    then = Bench("steps: [25, 50, 100]")
    then.ledger._store = SqliteStore(tmp_path / "state.db")
    then.now = first.now + 300
    await then.reconfiguration.start()
    await then.rollouts.load_evidence()
    assert (then.shop.rollout.step, then.weight("shop")) == (0, 2500)
    found = then.judges.analysis("shop", then.now)
    assert [one.evidence for one in found.checks] == [one.evidence for one in evidence.checks]
    assert found.exposed == evidence.exposed
    await then.second()
    assert then.shop.rollout.step == 0
    for _ in range(3):
        await then.second()
    assert then.shop.rollout.step == 1
    await then.rollouts.do("shop", "abort", JO)
    await then.rollouts.store_evidence()
    assert await then.ledger.learnt() == {}


async def test_what_is_known_of_another_canary_is_of_no_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Bench("steps: [25, 50, 100]")
    first.ledger._store = SqliteStore(tmp_path / "state.db")
    await first.reconfiguration.start()
    await first.rollouts.do("shop", "start", JO)
    for _ in range(9):
        await first.second()
    await first.rollouts.store_evidence()
    text = json.loads((await first.ledger.learnt())["shop"])
    text["judge"]["panel"]["errors"]["worse"] = {}
    await first.ledger.remember({"shop": json.dumps(text)}, {"shop"})
    await first.close()
    for port in (2, 3):
        then = Bench("steps: [25, 50, 100]")
        then.port = port
        then.ledger._store = SqliteStore(tmp_path / "state.db")
        then.topology.file = then.topology.config = parse(then.text(port), "f", {})
        then.now = first.now
        await then.reconfiguration.start()
        await then.rollouts.load_evidence()
        assert then.judges.analysis("shop", then.now).exposed.requests == 0
        for _ in range(9):
            await then.second()
        assert then.shop.rollout.step == 0
        await then.close()
    assert caplog.text.count("stored evidence is not usable; analysis restarted") == 1


async def test_time_in_which_no_one_watched_adds_up(tmp_path: Path) -> None:
    bench = await started("steps: [25, 100]")
    kept: dict[str, str] = {}
    bench.store.store_evidence = lambda learnt, _: kept.update(learnt)  # type: ignore[method-assign, assignment]
    bench.store.stored_evidence = lambda: dict(kept)  # type: ignore[method-assign]
    for away in (600, 2):
        await bench.second()
        await bench.rollouts.store_evidence()
        bench.now += away
        await bench.rollouts.load_evidence()
    assert bench.observations.observe("shop").lost == 602
    kept["shop"] = "{}}"
    await bench.rollouts.load_evidence()
    assert bench.observations.observe("shop").lost >= 602


async def test_a_bake_is_watched_after_a_restart_too() -> None:
    bench = await started("prove_above: 100%, steps: [100]")
    for _ in range(3):
        await bench.second()
    learnt = json.loads(json.dumps(bench.judges.snapshot("shop", bench.now)))
    bench.judges.renew("shop", bench.now)
    assert bench.judges.restore("shop", learnt, bench.now)
    bench.errors["canary"] = 1.0
    for _ in range(4):
        await bench.second()
    assert (bench.shop.rollout.phase, bench.weight("shop")) == ("rolled_back", 0)


async def test_an_older_version_between_two_newer_ones_loses_nothing_of_theirs(tmp_path: Path) -> None:
    """What a newer version stored is there again once this one has watched for a while; not for the next rollout."""
    first = Bench("steps: [25, 50, 100]")
    first.ledger._store = SqliteStore(tmp_path / "state.db")
    await first.reconfiguration.start()
    await first.rollouts.do("shop", "start", JO)
    for _ in range(5):
        await first.second()
    await first.rollouts.store_evidence()
    newer = json.loads((await first.ledger.learnt())["shop"])
    newer["seen_by"] = ["a", "b"]
    newer["judge"]["panel"]["saturation"] = {"v": 4, "sums": [1]}
    newer["judge"]["panel"]["errors"]["worse"]["later"] = 1
    await first.ledger.remember({"shop": json.dumps(newer)}, {"shop"})
    await first.close()

    then = Bench("steps: [25, 50, 100]")
    then.ledger._store = SqliteStore(tmp_path / "state.db")
    then.now = first.now
    await then.reconfiguration.start()
    await then.rollouts.load_evidence()
    for _ in range(3):
        await then.second()
    await then.rollouts.store_evidence()
    kept = json.loads((await then.ledger.learnt())["shop"])
    assert kept["seen_by"] == ["a", "b"]
    assert kept["judge"]["panel"]["saturation"] == {"v": 4, "sums": [1]}
    assert kept["judge"]["panel"]["errors"]["worse"]["later"] == 1
    assert kept["judge"]["exposed"]["requests"] > newer["judge"]["exposed"]["requests"]
    await then.rollouts.do("shop", "abort", JO)
    await then.rollouts.do("shop", "retry", JO)
    await then.second()
    await then.rollouts.store_evidence()
    kept = json.loads((await then.ledger.learnt())["shop"])
    assert "seen_by" not in kept
    assert "saturation" not in kept["judge"]["panel"]
    await then.close()
