"""Waiting for the end of a rollout: each end has an exit code of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner, Result

from canaryproxy.cli import app
from canaryproxy.cli.remote import Remote
from canaryproxy.cli.waiting import (
    REFUSED,
    ROLLED_BACK,
    SUCCEEDED,
    SUPERSEDED,
    TIMED_OUT,
    RolloutWaiter,
    code,
    sentence,
    wait,
)
from tests.support.admin import Api
from tests.support.live import Live, live


@dataclass
class Shop:
    """A route, by the command line."""

    served: Live

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--admin", self.served.url])

    def start(self, version: str) -> str:
        return self.run("start", "shop", "--version", version, "-q").stdout.strip()

    def waited(self, *words: str) -> tuple[int, str]:
        done = self.run("status", "shop", "--wait", "--timeout", "100ms", *words)
        return done.exit_code, done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr("canaryproxy.cli.waiting.PERIOD_SECONDS", 0.01)
    with live(Api()) as served:
        yield Shop(served)


def test_the_end_of_the_rollout_that_was_asked_for_even_after_a_reset(shop: Shop) -> None:
    good = shop.start("v1")
    assert shop.waited("--rollout", good) == (TIMED_OUT, "timed out")
    for _ in range(6):
        shop.run("promote", "shop")
    won = (SUCCEEDED, f"shop succeeded, version v1, rollout {good}")
    assert shop.waited("--rollout", good) == won
    assert shop.waited() == won
    assert shop.run("reset", "shop").exit_code == 0
    assert shop.waited("--rollout", good) == won
    assert shop.waited() == (SUCCEEDED, "shop idle")
    bad = shop.start("v2")
    shop.run("abort", "shop")
    lost = (ROLLED_BACK, f"shop rolled_back, version v2, rollout {bad}: aborted by anyone")
    assert shop.waited("--rollout", bad) == lost
    assert shop.waited()[0] == ROLLED_BACK
    assert shop.waited("--rollout", good) == won


def test_another_ones_success_is_none_of_ours(shop: Shop) -> None:
    first = shop.start("v1")
    waiting = RolloutWaiter(Remote(shop.served.url), "shop")
    assert [one["id"] for one in waiting.poll()] == [first]
    second = shop.start("v2")
    for _ in range(6):
        shop.run("promote", "shop")
    data = f"shop superseded, version v1, rollout {first}: rollout {second} of v2 took its place"
    assert shop.waited("--rollout", first) == (SUPERSEDED, data)
    assert wait(waiting, 0.1) == SUPERSEDED
    assert shop.waited("--rollout", second)[0] == SUCCEEDED


def test_what_will_never_be_ends_at_once_and_not_like_a_rollback(shop: Shop) -> None:
    for words in (["nope"], ["shop", "--rollout", "20200101-000000-aaaaa"]):
        done = shop.run("status", *words, "--wait", "--timeout", "1h")
        assert (done.exit_code, "404" in done.stderr) == (REFUSED, True)


def test_all_routes_without_a_name(shop: Shop) -> None:
    mine = shop.start("v1")
    shop.run("abort", "shop")
    done = shop.run("status", "--wait", "--json")
    assert done.exit_code == ROLLED_BACK
    data = {one["route"]: one for one in json.loads(done.stdout)}
    assert (data["shop"]["id"], data["shop"]["result"], data["blog"]["result"]) == (mine, "rolled_back", "idle")


def test_an_instance_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canaryproxy.cli.waiting.PERIOD_SECONDS", 0.01)
    done = CliRunner().invoke(app, ["status", "--wait", "--timeout", "100ms", "--admin", "http://127.0.0.1:1"])
    assert (done.exit_code, done.stderr.count("cannot be reached"), "timed out" in done.stderr) == (3, 1, True)
    assert CliRunner().invoke(app, ["status", "--wait", "--timeout", "soon"]).exit_code == 2


def test_of_several_routes_the_worst_counts() -> None:
    def of(*results: str) -> int:
        return code([{"result": one} for one in results])

    assert of("succeeded", "idle") == SUCCEEDED
    assert of("succeeded", "superseded") == SUPERSEDED
    assert of("superseded", "rolled_back", "succeeded") == ROLLED_BACK
    assert len({SUCCEEDED, ROLLED_BACK, TIMED_OUT, SUPERSEDED, REFUSED, 2}) == 6


def test_a_version_without_a_name_is_not_named() -> None:
    one = {"route": "shop", "result": "succeeded", "id": "a", "canary_version": None, "why": "words"}
    assert sentence(one) == "shop succeeded, rollout a"
