"""The verbs of a rollout on the command line."""

import json

import pytest
from typer.testing import CliRunner, Result

from canaryproxy.cli import app
from canaryproxy.cli.rollout import sentence
from canaryproxy.cli.waiting import REFUSED, TIMED_OUT
from tests.support.admin import Api
from tests.support.live import Live, live

DATA = {
    "route": "shop",
    "phase": "progressing",
    "reason": None,
    "weight": 5.0,
    "next": 25.0,
    "estimate": 61.2,
    "durable": True,
    "step": 1,
    "steps": [1.0, 5.0, 25.0, 100.0],
    "why": None,
    "id": "20261128-022013-k3f9z",
    "canary_version": "v42",
}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {},
            "shop: progressing, 5 % to canary, step 2 of 4, then 25 % in about 61 s; rollout 20261128-022013-k3f9z of v42",
        ),
        (
            {"estimate": 4000.0},
            "shop: progressing, 5 % to canary, step 2 of 4, then 25 % in about 67 min; rollout 20261128-022013-k3f9z of v42",
        ),
        (
            {"phase": "paused", "reason": "manual", "next": None, "estimate": None},
            "shop: paused (manual), 5 % to canary, step 2 of 4; rollout 20261128-022013-k3f9z of v42",
        ),
        (
            {
                "phase": "rolled_back",
                "reason": "manual",
                "weight": 0.0,
                "next": None,
                "estimate": None,
                "durable": False,
                "canary_version": None,
            },
            "shop: rolled_back (manual), 0 % to canary; rollout 20261128-022013-k3f9z; the state could not be written to disk",
        ),
    ],
)
def test_where_it_stands_is_reported_in_a_line(more: dict[str, object], words: str) -> None:
    assert sentence({**DATA, **more}) == words


def run(served: Live, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--admin", served.url])


def test_a_start_says_its_id_and_names_the_versions() -> None:
    with live(Api()) as served:
        done = run(served, "start", "shop", "--version", "v42", "--stable-version", "v41", "--quiet")
        assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
        data = json.loads(run(served, "status", "shop", "--json").stdout)
        assert (data["rollout_id"], data["stable_version"], data["canary_version"]) == (
            done.stdout.strip(),
            "v41",
            "v42",
        )
        assert run(served, "start", "shop", "--version", "v42", "-q").stdout == done.stdout
        assert f"rollout {done.stdout.strip()} of v42" in run(served, "start", "shop", "--version", "v42").stdout
        assert run(served, "abort", "shop").exit_code == 0
        refused = run(served, "start", "shop", "--version", "v42")
        assert (refused.exit_code, "`retry` tries it again" in refused.stderr) == (1, True)
        assert run(served, "retry", "shop", "-q").stdout.strip() > done.stdout.strip()[:15]


def test_a_start_may_wait_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canaryproxy.cli.waiting.PERIOD_SECONDS", 0.01)
    with live(Api()) as served:
        late = run(served, "start", "shop", "--version", "v42", "--wait", "--timeout", "100ms")
        assert (late.exit_code, "timed out" in late.stderr) == (TIMED_OUT, True)
        assert run(served, "start", "shop", "--wait").exit_code == REFUSED
        assert run(served, "start", "shop", "--wait", "--timeout", "soon").exit_code == 2
        whole = run(served, "start", "shop", "--version", "v42", "--wait", "--timeout", "100ms", "--json")
        assert (whole.exit_code, whole.stdout) == (TIMED_OUT, "")


def test_a_promotion_from_an_expected_step_moves_once_however_often_it_is_run() -> None:
    api = Api()
    with live(api) as served:

        def said(*words: str) -> tuple[int, str]:
            done = run(served, *words)
            return done.exit_code, done.output

        assert said("promote", "shop", "--expect-step", "1")[1].startswith("the rollout is not at step 1; shop: idle")
        assert said("start", "shop")[0] == 0
        code, words = said("promote", "shop", "--expect-step", "1")
        assert (code, "step 2 of 5" in words) == (0, True)
        code, words = said("promote", "shop", "--expect-step", "1")
        assert (
            code,
            words.startswith("the rollout is not at step 1; shop: progressing, 5 % to canary, step 2 of 5"),
        ) == (
            1,
            True,
        )
        assert said("promote", "shop", "--expect-step", "0")[0] == 2
        assert api.ledger.state["shop"].rollout.step == 1


def test_an_abort_that_changes_nothing_says_so() -> None:
    with live(Api()) as served:
        done = CliRunner().invoke(app, ["abort", "blog", "--admin", served.url])
        assert done.output.strip().endswith(
            "blog: idle, 0 % to canary: the canary receives no traffic, nothing was changed"
        )


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort", "reset"])
def test_an_empty_id_of_a_rollout_is_wrong_usage_and_not_whichever_there_is(verb: str) -> None:
    """As a script says it whose variable is not set."""
    result = CliRunner().invoke(app, [verb, "shop", "--rollout", "", "--admin", "127.0.0.1:1"])
    assert result.exit_code == 2
    assert "the id is empty" in result.output
