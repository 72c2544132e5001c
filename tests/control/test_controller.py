"""Reloading: what is published when, and what a broken file does not do."""

import asyncio
from pathlib import Path

import pytest

from canaryproxy.config import Config, ConfigError, Problem, from_flags, parse
from canaryproxy.control.changes import Changed, NoSuchRoute
from canaryproxy.control.controller import Controller
from canaryproxy.control.health import Answer, Check
from canaryproxy.control.ledger import Actor, Stale
from canaryproxy.control.state import RouteState, State
from canaryproxy.control.store import UnwritableState
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.rollout.plan import WHOLE, Step
from canaryproxy.rollout.state import Rollout
from canaryproxy.store.memory import MemoryStore
from canaryproxy.store.sqlite import SqliteStore
from tests.support.authority import Authority


class Traffic:
    """A data plane that remembers its tables."""

    def __init__(self) -> None:
        self.tables: list[RoutingTable] = []
        self.waited: list[int] = []
        self.certificates: list[ListenerTls | None] = []

    def publish(self, table: RoutingTable) -> None:
        """Remember."""
        self.tables.append(table)

    async def acknowledged(self, generation: int) -> None:
        """Remember what was waited for."""
        self.waited.append(generation)

    def certify(self, certificates: list[ListenerTls | None]) -> None:
        """Remember."""
        self.certificates = certificates


async def answering(_: Endpoint, __: Check) -> Answer:
    return Answer(passed=True)


async def lookup(_: str) -> tuple[str, ...]:
    return ("10.0.0.1",)


def config(weight: str = "5", listen: str | None = None) -> Config:
    return from_flags("http://a:1", "http://b:1", weight, listen)


async def controlled(*loads: Config | ConfigError) -> tuple[Controller, Traffic]:
    queue = list(loads)

    def load() -> Config:
        loaded = queue.pop(0)
        if isinstance(loaded, ConfigError):
            raise loaded
        return loaded

    traffic = Traffic()
    controller = Controller(config(), traffic, MemoryStore(), load, ask=answering, lookup=lookup, wall=lambda: 5.0)
    await controller.start()
    return controller, traffic


async def test_a_changed_weight_is_published_as_the_next_generation() -> None:
    controller, traffic = await controlled(config("20"))
    reload = await controller.reload()
    assert (reload.changed, reload.generation, reload.problem) == (True, 2, "")
    assert [(table.generation, table.routes[0].weight) for table in traffic.tables] == [(1, 500), (2, 2000)]


async def test_an_unchanged_file_publishes_nothing() -> None:
    controller, traffic = await controlled(config())
    reload = await controller.reload()
    assert (reload.changed, reload.generation) == (False, 1)
    assert len(traffic.tables) == 1


async def test_a_broken_file_keeps_the_old_config_and_says_why() -> None:
    controller, traffic = await controlled(
        ConfigError((Problem("a.yaml", 3, 1, "weight", '"x"', "a percentage"),)), config("6")
    )
    reload = await controller.reload()
    assert "a.yaml:3:1: weight" in reload.problem
    assert (reload.changed, len(traffic.tables)) == (False, 1)
    assert (await controller.reload()).generation == 2


async def test_a_changed_server_section_waits_for_a_restart_but_the_routes_do_not() -> None:
    controller, traffic = await controlled(config("6", ":9999"), config("6", "127.0.0.1:8080"))
    reload = await controller.reload()
    assert (reload.restart, reload.changed) == (True, True)
    assert (await controller.reload()).restart is False
    assert len(traffic.tables) == 2


async def test_reloads_at_the_same_time_are_served_one_after_another() -> None:
    controller, traffic = await controlled(*(config(str(weight)) for weight in range(10, 20)))
    reloads = await asyncio.gather(*(controller.reload() for _ in range(10)))
    assert [reload.generation for reload in reloads] == list(range(2, 12))
    assert [table.routes[0].weight for table in traffic.tables[1:]] == [weight * 100 for weight in range(10, 20)]


async def test_without_a_file_there_is_nothing_to_reload() -> None:
    controller = Controller(config(), Traffic(), MemoryStore(), ask=answering, lookup=lookup, wall=lambda: 5.0)
    await controller.start()
    assert (await controller.reload()).changed is False


async def test_a_name_that_changes_its_meaning_is_a_new_table_and_nothing_else_is() -> None:
    answers: dict[str, tuple[str, ...]] = {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}

    async def moving(name: str) -> tuple[str, ...]:
        return answers[name]

    traffic = Traffic()
    controller = Controller(config(), traffic, MemoryStore(), ask=answering, lookup=moving, wall=lambda: 5.0)
    await controller.start()
    controller._refresh()
    assert len(traffic.tables) == 1
    answers["b"] = ("10.0.0.2", "10.0.0.3")
    await controller.resolver.look(frozenset("b"))
    controller._refresh()
    assert [len(table.routes[0].versions[1].endpoints) for table in traffic.tables] == [1, 2]
    assert controller.generation == 2
    controller.stop()


async def test_an_endpoint_that_is_ill_leaves_the_table_and_comes_back() -> None:
    ill = True

    async def ask(_: Endpoint, __: Check) -> Answer:
        return Answer(not ill)

    checked = parse(
        "stable: http://a\ncanary: {url: http://b, health: {path: /, interval: 5ms, unhealthy: 1}}", "f", {}
    )
    traffic = Traffic()
    controller = Controller(checked, traffic, MemoryStore(), ask=ask, lookup=lookup, wall=lambda: 5.0)
    await controller.start()
    async with asyncio.timeout(60):
        while len(traffic.tables) < 2:
            await asyncio.sleep(0.005)
        ill = False
        while len(traffic.tables) < 3:
            await asyncio.sleep(0.005)
    assert [len(table.routes[0].versions[1].endpoints) for table in traffic.tables] == [1, 0, 1]
    controller.stop()


async def test_new_certificates_are_handed_on_and_need_no_restart(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.write(tmp_path, "shop", "shop.test")
    text = (
        f"server: {{listen: [{{address: '127.0.0.1:0', tls: {{certs: [{{cert: {files.cert}, key: {files.key}}}]}}}}]}}\n"
        "stable: http://a\ncanary: http://b\n"
    )
    traffic = Traffic()
    controller = Controller(
        parse(text, "f", {}), traffic, MemoryStore(), lambda: parse(text, "f", {}), ask=answering, lookup=lookup,
        wall=lambda: 5.0,
    )  # fmt: skip
    await controller.start()
    assert not (await controller.reload()).changed
    authority.write(tmp_path, "shop", "shop.test")
    reload = await controller.reload()
    assert (reload.changed, reload.restart, reload.generation) == (True, False, 1)
    assert traffic.certificates[0] is not None
    assert traffic.certificates[0].identities[0].cert == files.cert.read_bytes()
    files.key.write_text("nothing")
    assert "PEM" in (await controller.reload()).problem
    controller.stop()


OPS = Actor("ci", "write", "127.0.0.1")


def kept(path: Path, weight: str = "5", traffic: Traffic | None = None) -> tuple[Controller, Traffic]:
    """A controller whose state is in a file."""
    traffic = traffic or Traffic()
    controller = Controller(
        config(weight), traffic, SqliteStore(path), ask=answering, lookup=lookup, wall=lambda: 5.0
    )  # fmt: skip
    return controller, traffic


async def ended(controller: Controller) -> None:
    controller.stop()
    await controller.close()


async def test_a_weight_of_the_api_outlives_the_process_until_the_file_says_something_else(tmp_path: Path) -> None:
    controller, traffic = kept(tmp_path / "a.db")
    await controller.start()
    assert await controller.set_weight("default", 1250, OPS, controller.revision("default")) == Changed(2, 1)
    assert traffic.waited == [2]
    await ended(controller)
    for weight, expected, source in (("5", 1250, "api"), ("6", 600, "file"), ("6", 600, "file")):
        controller, traffic = kept(tmp_path / "a.db", weight)
        await controller.start()
        assert traffic.tables[0].routes[0].weight == expected
        assert controller.state["default"].weight_source == source
        await ended(controller)


async def test_a_damaged_state_turns_the_canary_off_until_somebody_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 100)
    (tmp_path / "a.db.lock").touch()
    controller, traffic = kept(tmp_path / "a.db", "50")
    await controller.start()
    route = traffic.tables[0].routes[0]
    assert (route.weight, route.aborted) == (0, True)
    assert "the state is lost" in caplog.text
    await ended(controller)
    controller, traffic = kept(tmp_path / "a.db", "60")
    await controller.start()
    assert traffic.tables[0].routes[0].aborted
    await controller.set_weight("default", 100, OPS)
    route = traffic.tables[-1].routes[0]
    assert (route.weight, route.aborted) == (100, False)
    await ended(controller)


async def test_a_state_that_cannot_be_kept_leaves_the_file_in_charge_and_changes_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    controller, traffic = kept(tmp_path / "missing" / "a.db")
    await controller.start()
    assert "the state cannot be kept" in caplog.text
    with pytest.raises(UnwritableState):
        await controller.set_weight("default", 1, OPS)
    assert [table.routes[0].weight for table in traffic.tables] == [500]
    controller._load = lambda: config("7")
    assert (await controller.reload()).changed
    assert traffic.tables[-1].routes[0].weight == 700
    await ended(controller)


async def test_a_state_that_cannot_be_read_sends_nobody_to_the_canary(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator may have taken it back, whatever the file says."""
    controller, traffic = kept(tmp_path)
    await controller.start()
    assert "the state cannot be read" in caplog.text
    route = traffic.tables[0].routes[0]
    assert (route.weight, route.aborted) == (0, True)
    with pytest.raises(UnwritableState):
        await controller.set_weight("default", 1, OPS)
    await ended(controller)


async def test_the_history_tells_changes_of_the_file_and_of_the_api_alike(tmp_path: Path) -> None:
    controller, _ = kept(tmp_path / "a.db")
    await controller.start()
    await controller.set_weight("default", 700, OPS)
    controller._load = lambda: config("8")
    await controller.reload()
    told = [(audit.actor, audit.action, audit.detail) for audit in await controller.history("default", 10)]
    assert told == [("operator", "config", "weight 7 -> 8"), ("ci", "weight", "5 -> 7")]
    await ended(controller)


async def test_changes_at_the_same_time_are_made_one_after_another(tmp_path: Path) -> None:
    controller, traffic = kept(tmp_path / "a.db")
    await controller.start()
    changes = await asyncio.gather(*(controller.set_weight("default", weight, OPS) for weight in range(1, 21)))
    assert changes == [Changed(number + 1, number) for number in range(1, 21)]
    assert [table.routes[0].weight for table in traffic.tables[1:]] == list(range(1, 21))
    with pytest.raises(Stale):
        await controller.set_weight("default", 1, OPS, revision=3)
    with pytest.raises(NoSuchRoute):
        await controller.set_weight("nope", 1, OPS)
    await ended(controller)


class Kept(MemoryStore):
    """A store that another process has left something in."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.kept = state

    def load(self) -> State | None:
        return self.kept


async def test_another_canary_is_followed_before_its_name_is_looked_up() -> None:
    """Looking may take long, and the API is open meanwhile."""
    rollout = Rollout("progressing", steps=(Step(1000, 60.0), Step(WHOLE, 60.0)), step=1, weight=WHOLE, began=1.0)
    found = parse("stable: http://127.0.0.1:1\ncanary: http://new.test\n", "f", {})
    known = RouteState(WHOLE, "rollout", 0, "", rollout=rollout, heard={"canary": "http://old.test"}, file_canary="old")
    seen: list[int] = []

    async def slow(_: str) -> tuple[str, ...]:
        seen.append(controller.state["default"].weight)
        return ("127.0.0.1",)

    controller = Controller(found, Traffic(), Kept({"default": known}), ask=answering, lookup=slow, wall=lambda: 50.0)
    await controller.start()
    controller.stop()
    assert seen == [100]
    assert controller.state["default"].rollout.step == 0
