"""Changes by operators: kept, published, acknowledged, one after another."""

import asyncio
from pathlib import Path

import pytest

from canaryproxy.config import parse
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.results import Changed, NoSuchRouteError
from canaryproxy.control.route_states import Actor, RevisionConflictError
from canaryproxy.control.state import RouteState, State
from canaryproxy.rollout.plan import FULL_WEIGHT, Step
from canaryproxy.rollout.state import Rollout
from canaryproxy.storage.memory import MemoryStore
from canaryproxy.storage.sqlite import SqliteStore
from tests.support.plane import Traffic, config, plane_of

OPS = Actor("ci", "write", "127.0.0.1")


def kept(path: Path, weight: str = "5", traffic: Traffic | None = None) -> tuple[ControlPlane, Traffic]:
    """A control plane whose state is in a file."""
    traffic = traffic or Traffic()
    plane = plane_of(config(weight), traffic, SqliteStore(path))
    return plane, traffic


async def ended(plane: ControlPlane) -> None:
    plane.stop()
    await plane.close()


async def test_a_weight_of_the_api_outlives_the_process_until_the_file_says_something_else(tmp_path: Path) -> None:
    plane, traffic = kept(tmp_path / "a.db")
    await plane.reconfiguration.start()
    before = plane.ledger.revision("default")
    changed = await plane.controller.set_weight("default", 1250, OPS, before)
    assert changed == Changed(2, plane.ledger.revision("default"))
    assert changed.revision > before
    assert traffic.waited == [2]
    await ended(plane)
    for weight, expected, source in (("5", 1250, "api"), ("6", 600, "file"), ("6", 600, "file")):
        plane, traffic = kept(tmp_path / "a.db", weight)
        await plane.reconfiguration.start()
        assert traffic.tables[0].routes[0].weight == expected
        assert plane.ledger.state["default"].weight_source == source
        await ended(plane)


async def test_a_damaged_state_turns_the_canary_off_until_an_operator_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 100)
    (tmp_path / "a.db.lock").touch()
    plane, traffic = kept(tmp_path / "a.db", "50")
    await plane.reconfiguration.start()
    route = traffic.tables[0].routes[0]
    assert (route.weight, route.aborted) == (0, True)
    assert "the state is lost" in caplog.text
    await ended(plane)
    plane, traffic = kept(tmp_path / "a.db", "60")
    await plane.reconfiguration.start()
    assert traffic.tables[0].routes[0].aborted
    await plane.controller.set_weight("default", 100, OPS)
    route = traffic.tables[-1].routes[0]
    assert (route.weight, route.aborted) == (100, False)
    await ended(plane)


async def test_a_state_that_cannot_be_kept_leaves_the_file_in_charge_and_changes_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plane, traffic = kept(tmp_path / "missing" / "a.db")
    await plane.reconfiguration.start()
    assert "state cannot be written" in caplog.text
    with pytest.raises(UnwritableStateError):
        await plane.controller.set_weight("default", 1, OPS)
    assert [table.routes[0].weight for table in traffic.tables] == [500]
    plane.reconfiguration._load = lambda: config("7")
    assert (await plane.reconfiguration.reload()).changed
    assert traffic.tables[-1].routes[0].weight == 700
    await ended(plane)


async def test_a_state_that_cannot_be_read_sends_no_one_to_the_canary(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator may have taken it back, whatever the file says."""
    plane, traffic = kept(tmp_path)
    await plane.reconfiguration.start()
    assert "the state cannot be read" in caplog.text
    route = traffic.tables[0].routes[0]
    assert (route.weight, route.aborted) == (0, True)
    with pytest.raises(UnwritableStateError):
        await plane.controller.set_weight("default", 1, OPS)
    await ended(plane)


async def test_the_history_tells_changes_of_the_file_and_of_the_api_alike(tmp_path: Path) -> None:
    plane, _ = kept(tmp_path / "a.db")
    await plane.reconfiguration.start()
    await plane.controller.set_weight("default", 700, OPS)
    plane.reconfiguration._load = lambda: config("8")
    await plane.reconfiguration.reload()
    data = [(audit.actor, audit.action, audit.detail) for audit in await plane.ledger.history("default", 10)]
    assert data == [("operator", "config", "weight 7 -> 8"), ("ci", "weight", "5 -> 7")]
    await ended(plane)


async def test_changes_at_the_same_time_are_made_one_after_another(tmp_path: Path) -> None:
    plane, traffic = kept(tmp_path / "a.db")
    await plane.reconfiguration.start()
    changes = await asyncio.gather(*(plane.controller.set_weight("default", weight, OPS) for weight in range(1, 21)))
    assert [change.generation for change in changes] == list(range(2, 22))
    assert sorted({change.revision for change in changes}) == [change.revision for change in changes]
    assert [table.routes[0].weight for table in traffic.tables[1:]] == list(range(1, 21))
    with pytest.raises(RevisionConflictError):
        await plane.controller.set_weight("default", 1, OPS, revision=3)
    with pytest.raises(NoSuchRouteError):
        await plane.controller.set_weight("nope", 1, OPS)
    await ended(plane)


class Kept(MemoryStore):
    """A store that another process has left something in."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.kept = state

    def load(self) -> State | None:
        return self.kept


async def test_another_canary_is_followed_before_its_name_is_looked_up() -> None:
    """Looking may take long, and the API is open meanwhile."""
    rollout = Rollout(
        "progressing", steps=(Step(1000, 60.0), Step(FULL_WEIGHT, 60.0)), step=1, weight=FULL_WEIGHT, began=1.0
    )
    found = parse("stable: http://127.0.0.1:1\ncanary: http://new.test\n", "f", {})
    known = RouteState(
        FULL_WEIGHT, "rollout", 0, "", rollout=rollout, heard={"canary": "http://old.test"}, file_canary="old"
    )
    seen: list[int] = []

    async def slow(_: str) -> tuple[str, ...]:
        seen.append(plane.ledger.state["default"].weight)
        return ("127.0.0.1",)

    plane = plane_of(found, Traffic(), Kept({"default": known}), lookup=slow, wall_clock=50.0)
    await plane.reconfiguration.start()
    plane.stop()
    assert seen == [100]
    assert plane.ledger.state["default"].rollout.step == 0
