"""Reloading: what is published when, and what a config that cannot be adopted does not do."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.config import ConfigError, ConfigProblem, parse
from canaryproxy.config.canary_document import canary_set
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.route_states import Actor, AppliedConfig
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.health import HealthAnswer, HealthCheckSpec
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.authority import Authority
from tests.support.plane import Traffic, config, controlled, plane_of

OPS = Actor("ci", "write", "127.0.0.1")


async def test_a_changed_weight_is_published_as_the_next_generation() -> None:
    plane, traffic = await controlled(config("20"))
    reload = await plane.reconfiguration.reload()
    assert (reload.changed, reload.generation, reload.problem) == (True, 2, "")
    assert [(table.generation, table.routes[0].weight) for table in traffic.tables] == [(1, 500), (2, 2000)]
    assert "generation 2" in repr(plane.controller)


async def test_a_config_that_serves_is_applied_although_its_report_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plane, traffic = await controlled(config("20"))
    kept: list[int] = []

    def broken(_: object) -> None:
        kept.append(plane.ledger.state["default"].weight)
        raise ZeroDivisionError

    monkeypatch.setattr(plane.rollouts, "reloaded", broken)
    reload = await plane.reconfiguration.reload()
    assert (reload.changed, reload.generation, reload.problem) == (True, 2, "")
    assert (plane.reconfiguration.reloaded, kept) == (True, [2000])
    assert [table.routes[0].weight for table in traffic.tables] == [500, 2000]
    assert "applied as generation 2, but not reported" in caplog.text


async def test_an_unchanged_file_publishes_nothing() -> None:
    plane, traffic = await controlled(config())
    reload = await plane.reconfiguration.reload()
    assert (reload.changed, reload.generation) == (False, 1)
    assert len(traffic.tables) == 1


async def test_a_broken_file_keeps_the_old_config_and_says_why() -> None:
    plane, traffic = await controlled(
        ConfigError((ConfigProblem("a.yaml", 3, 1, "weight", '"x"', "a percentage"),)), config("6")
    )
    reload = await plane.reconfiguration.reload()
    assert "a.yaml:3:1: weight" in reload.problem
    assert (reload.changed, len(traffic.tables)) == (False, 1)
    assert (await plane.reconfiguration.reload()).generation == 2


async def test_a_changed_server_section_waits_for_a_restart_but_the_routes_do_not() -> None:
    plane, traffic = await controlled(config("6", ":9999"), config("6", "127.0.0.1:8080"))
    reload = await plane.reconfiguration.reload()
    assert (reload.restart, reload.changed) == (True, True)
    assert (await plane.reconfiguration.reload()).restart is False
    assert len(traffic.tables) == 2


async def test_reloads_at_the_same_time_are_served_one_after_another() -> None:
    plane, traffic = await controlled(*(config(str(weight)) for weight in range(10, 20)))
    reloads = await asyncio.gather(*(plane.reconfiguration.reload() for _ in range(10)))
    assert [reload.generation for reload in reloads] == list(range(2, 12))
    assert [table.routes[0].weight for table in traffic.tables[1:]] == [weight * 100 for weight in range(10, 20)]


async def test_without_a_file_there_is_nothing_to_reload() -> None:
    plane = plane_of(config(), Traffic())
    await plane.reconfiguration.start()
    assert (await plane.reconfiguration.reload()).changed is False


async def test_a_name_that_changes_its_meaning_is_a_new_table_and_nothing_else_is() -> None:
    answers: dict[str, tuple[str, ...]] = {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}

    async def moving(name: str) -> tuple[str, ...]:
        return answers[name]

    traffic = Traffic()
    plane = plane_of(config(), traffic, lookup=moving)
    await plane.reconfiguration.start()
    plane.controller.refresh()
    assert len(traffic.tables) == 1
    answers["b"] = ("10.0.0.2", "10.0.0.3")
    await plane.topology.resolver.resolve(frozenset("b"))
    plane.controller.refresh()
    assert [len(table.routes[0].versions[1].endpoints) for table in traffic.tables] == [1, 2]
    assert plane.tables.generation == 2
    plane.stop()


async def test_an_endpoint_that_is_ill_leaves_the_table_and_comes_back() -> None:
    ill = True

    async def ask(_: Endpoint, __: HealthCheckSpec) -> HealthAnswer:
        return HealthAnswer(not ill)

    checked = parse(
        "stable: http://a\ncanary: {url: http://b, health: {path: /, interval: 5ms, unhealthy: 1}}", "f", {}
    )
    traffic = Traffic()
    plane = plane_of(checked, traffic, ask=ask)
    await plane.reconfiguration.start()
    async with asyncio.timeout(60):
        while len(traffic.tables) < 2:
            await asyncio.sleep(0.005)
        ill = False
        while len(traffic.tables) < 3:
            await asyncio.sleep(0.005)
    assert [len(table.routes[0].versions[1].endpoints) for table in traffic.tables] == [1, 0, 1]
    plane.stop()


async def test_new_certificates_are_handed_on_and_need_no_restart(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.write(tmp_path, "shop", "shop.test")
    text = (
        f"server: {{listen: [{{address: '127.0.0.1:0', tls: {{certs: [{{cert: {files.cert}, key: {files.key}}}]}}}}]}}\n"
        "stable: http://a\ncanary: http://b\n"
    )
    traffic = Traffic()
    plane = plane_of(parse(text, "f", {}), traffic, load=lambda: parse(text, "f", {}))
    await plane.reconfiguration.start()
    assert not (await plane.reconfiguration.reload()).changed
    authority.write(tmp_path, "shop", "shop.test")
    reload = await plane.reconfiguration.reload()
    assert (reload.changed, reload.restart, reload.generation) == (True, False, 1)
    assert traffic.certificates[0] is not None
    assert traffic.certificates[0].identities[0].cert == files.cert.read_bytes()
    files.key.write_text("nothing")
    assert "PEM" in (await plane.reconfiguration.reload()).problem
    plane.stop()


# A mistake of ours.


def broken(*_: object) -> Any:
    """What a mistake does."""
    raise ZeroDivisionError("a mistake of ours")


BREAKS: dict[str, Callable[[ControlPlane, pytest.MonkeyPatch], None]] = {
    "state": lambda plane, patch: patch.setattr(plane.ledger, "follow", broken),
    "rollouts": lambda plane, patch: patch.setattr(plane.rollouts, "change", broken),
    "judges": lambda plane, patch: patch.setattr(plane.judges, "prepared", broken),
    "table": lambda plane, patch: patch.setattr(plane.tables, "compiled", broken),
}


def holds(plane: ControlPlane, traffic: Traffic) -> tuple[object, ...]:
    """All that says what is served."""
    return plane.topology.file, plane.topology.config, plane.ledger.state, plane.tables.table, traffic.tables[:]


@pytest.mark.parametrize("broken_part", BREAKS)
async def test_a_reload_that_stops_half_way_leaves_everything_as_it_was(
    broken_part: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    traffic, text = Traffic(), "stable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\nweight: 5\n"
    found = [text.replace("5", "20").replace(":2", ":3"), text.replace("5", "30")]
    store = SqliteStore(tmp_path / "state.db")
    plane = plane_of(parse(text, "f", {}), traffic, store, lambda: parse(found.pop(0), "f", {}))
    await plane.reconfiguration.start()
    before = holds(plane, traffic)
    with pytest.MonkeyPatch.context() as patch:
        BREAKS[broken_part](plane, patch)
        reload = await plane.reconfiguration.reload()
    assert (reload.changed, reload.generation) == (False, 1)
    assert "internal error" in reload.problem
    assert "ZeroDivisionError" in caplog.text
    assert plane.reconfiguration.reloaded is False
    assert holds(plane, traffic) == before
    await plane.controller.keep()
    assert plane.ledger.durable
    plane.stop()
    await plane.close()
    again = plane_of(parse(text, "f", {}), Traffic(), SqliteStore(tmp_path / "state.db"))
    await again.reconfiguration.start()
    assert again.ledger.state == plane.ledger.state
    again.stop()
    await again.close()


async def test_the_next_config_is_tried_after_one_that_could_not_be_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    plane, traffic = await controlled(config("20"), OSError("the disk is gone"), config("30"))
    with monkeypatch.context() as patch:
        patch.setattr(plane.tables, "compiled", broken)
        await plane.reconfiguration.reload()
    assert (await plane.reconfiguration.reload()).problem
    assert (await plane.reconfiguration.reload()).changed
    assert [table.routes[0].weight for table in traffic.tables] == [500, 3000]
    assert plane.reconfiguration.reloaded


async def test_what_was_taken_from_a_canary_while_a_config_was_stored_holds_though_it_cannot_be_adopted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane, _ = await controlled(config("20"))
    hear = plane.ledger.apply_config

    async def meanwhile(*asked: Any) -> AppliedConfig:
        heard = await hear(*asked)
        plane.ledger.put("default", replace(plane.ledger.state["default"], latched="taken back"), OPS, "abort", "", 1)
        return heard

    monkeypatch.setattr(plane.ledger, "apply_config", meanwhile)
    monkeypatch.setattr(plane.tables, "compiled", broken)
    assert (await plane.reconfiguration.reload()).problem
    assert (plane.ledger.state["default"].off, plane.ledger.state["default"].weight) == (True, 500)


async def test_a_canary_of_the_api_that_cannot_be_taken_is_not_kept_either(monkeypatch: pytest.MonkeyPatch) -> None:
    plane, traffic = await controlled(config())
    before = plane.ledger.state["default"]
    with monkeypatch.context() as patch:
        patch.setattr(plane.tables, "compiled", broken)
        with pytest.raises(ZeroDivisionError):
            await plane.reconfiguration.set_canary("default", canary_set("http://127.0.0.1:7"), OPS)
    after = plane.ledger.state["default"]
    assert replace(after, revision=0) == replace(before, revision=0)
    assert after.revision > before.revision
    assert len(traffic.tables) == 1
    await plane.reconfiguration.set_canary("default", canary_set("http://127.0.0.1:7"), OPS)
    assert traffic.tables[-1].routes[0].versions[1].endpoints[0].port == 7


async def test_certificates_that_came_with_what_needs_a_restart_are_handed_on_once_it_does_not(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.write(tmp_path, "shop", "shop.test")
    text = (
        f"server: {{listen: [{{address: '127.0.0.1:0', tls: {{certs: [{{cert: {files.cert}, key: {files.key}}}]}}}}]}}\n"
        "stable: http://a\ncanary: http://b\n"
    )
    loads = [text.replace("127.0.0.1:0", "127.0.0.1:1"), text]
    traffic = Traffic()
    plane = plane_of(parse(text, "f", {}), traffic, load=lambda: parse(loads.pop(0), "f", {}))
    await plane.reconfiguration.start()
    authority.write(tmp_path, "shop", "shop.test")
    reload = await plane.reconfiguration.reload()
    assert (reload.restart, traffic.certificates) == (True, [])
    assert (await plane.reconfiguration.reload()).changed
    assert traffic.certificates[0] is not None
    assert traffic.certificates[0].identities[0].cert == files.cert.read_bytes()
    plane.stop()
