"""Floods: what counts as late, what holds, what the page says; and the flood itself against a server that closes."""

import asyncio
import contextlib
import dataclasses
import json
import math
from pathlib import Path

import pytest
import yaml

from bench.attacks import cgroups, report, subjects
from bench.attacks.cgroups import Use, group
from bench.attacks.figures import Pulse, Reached, Run, Seen, percentile, reached, seen
from bench.attacks.flood import FLOODS, Flood, Running, request
from bench.attacks.verdict import BASE, NGINX, OURS, Verdict, verdicts
from bench.attacks.watch import Sample, due
from bench.ports import free_port

MIB = 1 << 20
KINDS = ("bystander", "newcomer", "health", "weight", "wakeup")
IDLE = report.kind("idle")
READERS = report.kind("readers")


def run(subject: str = OURS, *, shared: bool = False, memory: bool = False, **late: float | Seen) -> Run:
    """A run in which all is well but what is said."""
    well = {kind: Seen(1.0, 2.0, 100, 0) for kind in KINDS}
    bad = {kind: one if isinstance(one, Seen) else Seen(one, one, 100, 0) for kind, one in late.items()}
    strong = Reached(30.5, 10_000, 10_000, 400.0, 300.0, 0.0)
    limit = 512 * MIB if memory else None
    return Run(subject, "idle", shared, well, {**well, **bad}, well, strong, 150 * MIB, 99 * MIB, 7 * MIB, limit,
               0 if memory else None, 0, True, False)  # fmt: skip


def failing(flood: Flood, *runs: Run) -> list[str]:
    return [one.claim for one in verdicts(flood, runs, seconds=30) if one.holds is False]


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([5.0], 0.99) == 5.0
    assert percentile([], 0.99) is None


def test_a_request_that_waits_has_slowed_all_that_was_due_meanwhile() -> None:
    assert [round(one.seconds, 3) for one in due(10.0, 10.35, 0.1)] == [0.35, 0.25, 0.15, 0.05]


def test_what_fails_at_once_counts_as_if_it_had_been_waited_for() -> None:
    assert list(due(10.0, 10.001, 0.1, given_up=3.0)) == [Sample(10.0, 3.0, True, True)]


def test_only_what_was_sent_counts_as_asked() -> None:
    samples = [*due(10.0, 10.35, 0.1), *due(10.4, 10.41, 0.1, given_up=3.0), *due(20.0, 20.1, 0.2)]
    assert seen(samples, 10.0, 11.0) == Seen(3000.0, 3000.0, 2, 1)


def test_without_a_sample_there_is_no_figure() -> None:
    assert seen([], 0.0, 1.0) == Seen(None, None, 0, 0)
    assert reached([]).seconds == 0


def test_what_the_flood_reached_is_the_median_and_rates_over_all_of_it() -> None:
    pulses = [
        Pulse(1000, 50, 60, 10, 5, 0, 0),
        Pulse(2000, 90, 200, 110, 10, 2, 0),
        Pulse(4000, 80, 400, 320, 20, 4, 0),
    ]
    assert reached(pulses) == Reached(4.0, 80, 90, 100.0, 5.0, 1.0)


def test_all_is_well_where_nothing_is_late() -> None:
    assert failing(IDLE, run(), run(shared=True), run(NGINX)) == []


@pytest.mark.parametrize("kind", ["weight", "health"])
def test_the_wake_up_delay_is_subtracted_and_nothing_else(kind: str) -> None:
    late, later = (
        dataclasses.replace(one, flooded={**one.flooded, kind: Seen(p99, p99, 100, 0)})
        for one, p99 in ((run(wakeup=30.0), 130.0), (run(wakeup=30.0), 130.1))
    )
    assert failing(IDLE, late) == []
    assert len(failing(IDLE, later)) == 1


def test_an_operator_without_an_answer_is_a_failure() -> None:
    assert len(failing(IDLE, run(weight=Seen(None, None, 0, 0)))) == 1


def test_a_socket_for_the_probe_has_the_same_bound() -> None:
    assert failing(IDLE, run(liveness=102.0)) == ["this, other addresses: liveness by the Unix socket ≤ 100 ms p99"]


def test_the_bystander_may_be_twice_as_slow_as_quiet_or_as_slow_as_behind_nginx() -> None:
    assert failing(IDLE, run(bystander=2.0)) == []
    assert len(failing(IDLE, run(bystander=2.1))) == 1
    assert failing(IDLE, run(bystander=50.0), run(NGINX, bystander=50.0)) == []


def test_newcomers_are_all_served_unless_nginx_serves_no_more() -> None:
    lost = Seen(2000.0, 2000.0, 100, 1)
    assert len(failing(IDLE, run(newcomer=lost), run(NGINX))) == 1
    assert failing(IDLE, run(newcomer=lost), run(NGINX, newcomer=lost)) == []


def test_a_flood_that_is_weak_or_short_shows_nothing() -> None:
    weak = dataclasses.replace(run(), reached=Reached(30.5, 10, 10, 1.0, 0.0, 0.0))
    short = dataclasses.replace(run(), reached=Reached(29.0, 10_000, 10_000, 400.0, 0.0, 0.0))
    assert [len(failing(IDLE, one)) for one in (weak, short)] == [1, 1]


def test_an_attack_that_does_not_succeed_on_the_base_fails() -> None:
    assert failing(IDLE, run(BASE)) == ["the attack succeeds on 64e2905: newcomers"]
    assert failing(IDLE, run(BASE, newcomer=Seen(2000.0, 2000.0, 10, 9))) == []
    assert failing(report.kind("admin"), run(BASE, weight=4100.0)) == []


def test_a_manifest_survives_where_nothing_is_killed_or_replaced_and_the_bystander_is_served() -> None:
    well = run(memory=True)
    assert failing(READERS, well) == []
    ill = [
        dataclasses.replace(well, kills=1),
        dataclasses.replace(well, restarts=1),
        dataclasses.replace(well, died=True),
        dataclasses.replace(well, after={**well.after, "bystander": Seen(1.0, 1.0, 100, 1)}),
    ]
    assert [len(failing(READERS, one)) for one in ill] == [1, 1, 1, 1]


def test_without_a_cgroup_it_is_said_that_survival_was_not_shown() -> None:
    last = verdicts(READERS, [run()], seconds=30)[-1]
    assert last.holds is None
    assert last.seen.startswith("not run: no cgroup")


def test_what_is_recorded_comes_out_of_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DATA", tmp_path / "attacks.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "ATTACKS.md")
    first = report.Record("readers", 30.0, "2026-11-28", "abc", "a machine", "a setting", (run(memory=True),))
    second = dataclasses.replace(first, flood="idle")
    report.write([first])
    report.write([second])
    report.write([dataclasses.replace(first, commit="def")])
    kept = [report.loaded(one) for one in json.loads(report.DATA.read_text())]
    assert kept == [second, dataclasses.replace(first, commit="def")]
    assert report.PAGE.read_text() == report.page(kept)


def test_the_page_has_a_row_for_each_run_and_the_verdicts() -> None:
    ill = dataclasses.replace(run(memory=True, bystander=900.0), kills=2)
    text = report.page([report.Record("readers", 30.0, "2026-11-28", "abc", "m", "s", (ill, run(NGINX)))])
    assert "| this | other addresses | 1.0 | 1.0 | - | 1.0 | 900.0 | 100 of 100 | 99 MiB, 2 killed (7, 150) |" in text
    assert "| this, other addresses: the shipped manifest survives under its memory limit | **no** |" in text
    widths = {line.count("|") for line in report.section(report.Record("idle", 30, "", "", "", "", (ill,))).split("\n")}
    assert widths == {0, 4, len(report.HEADS) + 1}


def test_each_flood_sends_what_it_is_named_for() -> None:
    assert request("") == b""
    assert request("hello")[:1] == b"\x16"  # a TLS handshake record
    assert 59 * 1024 < len(request("head")) < 64 * 1024
    assert b"\r\n\r\n" not in request("head")
    assert len({flood.name for flood in FLOODS}) == len(FLOODS)


def test_the_shipped_limit_is_read_from_the_manifest() -> None:
    assert subjects.memory_limit(Path(__file__).parents[2]) >= 256 * MIB


def test_the_shipped_config_is_changed_in_addresses_alone(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    place = subjects.Place(tmp_path, 1)
    shipped = yaml.safe_load((root / "k8s/base/canaryproxy.yaml").read_text())
    made = subjects.shipped(root, place)
    assert made["server"].keys() == shipped["server"].keys()
    same = made["server"].keys() - {"listen", "admin", "probes", "state"}
    assert {key: made["server"][key] for key in same} == {key: shipped["server"][key] for key in same}
    assert made["routes"]["app"].keys() == shipped["routes"]["app"].keys()
    assert math.isclose(sum(address["address"].startswith("127.0.0.1:") for address in made["server"]["listen"]), 2)


def test_a_cgroup_is_gone_afterwards() -> None:
    with group("canaryproxy-test", 64 * MIB) as made:
        if made is None:
            pytest.skip("no cgroup with a memory limit can be made here")
        assert made.use().kills == 0
        folder = made.door.parent
    assert not folder.exists()


@pytest.mark.needs("gcc", "taskset")
async def test_a_flood_opens_again_what_is_closed(tmp_path: Path) -> None:
    met: set[str] = set()

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.add(writer.get_extra_info("peername")[0])
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        small = dataclasses.replace(IDLE, count=20)
        running = await asyncio.to_thread(Running, small, port, tmp_path, shared=False, core=None)
        while len(met) < 40:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(running.end)
    assert running.pulses[-1].opened > 20
    assert all(one.startswith("127.0.1.") for one in met)


@pytest.mark.needs("gcc", "taskset")
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_a_scraper_closes_after_a_whole_answer_and_comes_again(tmp_path: Path, framing: bytes) -> None:
    whole = under_way = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal whole, under_way
        under_way += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # the flood ends in the middle
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing[:-3])
            await asyncio.sleep(0)
            writer.write(framing[-3:])
            whole += await reader.read() == b""
        writer.close()
        under_way -= 1

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        small = dataclasses.replace(report.kind("scrapers"), count=4)
        running = await asyncio.to_thread(Running, small, port, tmp_path, shared=True, core=None)
        while whole < 40:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(running.end)
        while under_way:
            await asyncio.sleep(0.02)
    last = running.pulses[-1]
    assert (last.closed, last.other) == (0, 0)
    assert last.good >= 40


@pytest.mark.needs("gcc", "taskset")
def test_a_flood_of_a_port_where_none_listens_ends_all_the_same(tmp_path: Path) -> None:
    running = Running(dataclasses.replace(IDLE, count=5), free_port(), tmp_path, shared=True, core=None)
    running.end()
    assert running.pulses[-1].held == 0


def test_a_verdict_says_which_flood_it_is_of() -> None:
    assert {one.flood for one in verdicts(IDLE, [run(), run(BASE)], seconds=30)} == {"idle"}
    assert Verdict("idle", "a claim", None, "not run: why").holds is None


def test_a_cgroup_of_version_2_has_the_limit_and_no_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    with group("canaryproxy-test", 64 * MIB) as made:
        assert made is not None
        folder = made.door.parent
        assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "memory.max": str(64 * MIB),
            "memory.swap.max": "0",
        }
        (folder / "memory.peak").write_text("4096\n")
        (folder / "memory.events").write_text("low 0\nmax 7\noom 2\noom_kill 1\n")
        assert made.use() == Use(4096, 1, 7, 0)
        for path in folder.iterdir():  # as the kernel does
            path.unlink()
    assert not folder.exists()


def test_where_no_controller_of_memory_is_there_is_no_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    with group("canaryproxy-test", None) as made:
        assert made is None
