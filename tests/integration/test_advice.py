"""What alerts, documentation, logs and errors advise is legal in the phase in which they advise it.

`ADVICE` lists every place that names a verb to a person in trouble: where, the words, the phases that this person may
find, and the verb. A new place that is not listed here fails the last two tests.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, get_args

import pytest
import yaml
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.control.state import RouteState
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.machine import legal, transition
from canaryproxy.rollout.plan import FULL_WEIGHT, Plan, Step
from canaryproxy.rollout.state import IllegalTransitionError, Observation, Phase, Rollout, RolloutEvent, Verb
from tests.support.process import ROOT

ANY: tuple[Phase, ...] = get_args(Phase)
VERBS: tuple[str, ...] = (*get_args(Verb), "weight")
PLAN = Plan((Step(100, 60.0), Step(5000, 60.0), Step(FULL_WEIGHT, 60.0)))

ALERTS, OPERATIONS, HOWTO = "monitoring/alerts.yml", "docs/operations.md", "docs/howto/ci-and-gitops.md"
STARTING, MACHINE, LEDGER = (
    "canaryproxy/rollout/starting.py",
    "canaryproxy/rollout/machine.py",
    "canaryproxy/control/route_states.py",
)


class Advice(NamedTuple):
    """Where these words stand, the phases in which they are read, and the verb that they advise."""

    file: str
    words: str
    phases: tuple[Phase, ...]
    verb: str


TAKEN_BACK: tuple[Phase, ...] = ("rolled_back",)
WAITING: tuple[Phase, ...] = ("paused",)
DONE: tuple[Phase, ...] = ("succeeded",)
IDLE: tuple[Phase, ...] = ("idle",)

ADVICE = (
    Advice(ALERTS, "`canaryproxy abort {{ $labels.route }}` rolls the canary back in every phase", ANY, "abort"),
    Advice(ALERTS, "`canaryproxy start {{ $labels.route }} --version VERSION` starts the next", TAKEN_BACK, "start"),
    Advice(ALERTS, "`canaryproxy retry {{ $labels.route }}` starts the same version again", TAKEN_BACK, "retry"),
    Advice(ALERTS, "`canaryproxy resume {{ $labels.route }}`", WAITING, "resume"),
    Advice(ALERTS, "`canaryproxy promote {{ $labels.route }}`", WAITING, "promote"),
    Advice(ALERTS, "`canaryproxy abort {{ $labels.route }}` continues or ends it", WAITING, "abort"),
    Advice(OPERATIONS, "set the weights again: `canaryproxy weight ROUTE PERCENT`", IDLE, "weight"),
    Advice(OPERATIONS, "`canaryproxy abort ROUTE`: in every phase", ANY, "abort"),
    Advice(OPERATIONS, "`canaryproxy start ROUTE --version NEXT` starts a fix", TAKEN_BACK, "start"),
    Advice(OPERATIONS, "`canaryproxy retry ROUTE` the same version again", TAKEN_BACK, "retry"),
    Advice(OPERATIONS, "`canaryproxy reset ROUTE` ends it", TAKEN_BACK, "reset"),
    Advice(HOWTO, "that takes `canaryproxy retry app`", TAKEN_BACK, "retry"),
    Advice(HOWTO, "`canaryproxy abort app --rollout ID` ends it", ("progressing", "paused", "baking"), "abort"),
    Advice(HOWTO, "say `canaryproxy reset app` once it is there", DONE, "reset"),
    Advice(HOWTO, "id=$(canaryproxy start app --version ${{ github.sha }} --quiet)", ANY, "start"),
    Advice(HOWTO, "`canaryproxy start app --version V --wait --timeout 2h`", ANY, "start"),
    Advice(HOWTO, "canaryproxy reset app --rollout ${{ steps.begin.outputs.id }}", DONE, "reset"),
    Advice("docs/kubernetes.md", "canaryproxy start app --version v42", ANY, "start"),
    Advice("docs/rollouts.md", "canaryproxy start shop --version v42", ANY, "start"),
    Advice(
        "docs/rollouts.md", "`canaryproxy promote shop --expect-step 2`", ("progressing", "paused", "baking"), "promote"
    ),
    Advice("docs/howto/several-apps.md", "`canaryproxy weight docs 5`", IDLE, "weight"),
    Advice("docs/howto/several-apps.md", "`canaryproxy start docs`", IDLE, "start"),
    Advice("docs/getting-started.md", "canaryproxy weight shop 0.25", IDLE, "weight"),
    Advice("docs/getting-started.md", "canaryproxy start shop --version v42", ANY, "start"),
    Advice("docs/guarantees.md", "`canaryproxy start shop --version v42`", ANY, "start"),
    Advice(STARTING, "`retry` tries it again, another version may start", TAKEN_BACK, "retry"),
    Advice(STARTING, "`retry` tries it again, another version may start", TAKEN_BACK, "start"),
    Advice(STARTING, "name the version, or `retry`", TAKEN_BACK, "retry"),
    Advice(STARTING, "update stable, then `reset`", DONE, "reset"),
    Advice(STARTING, "to begin another one, name the version", ("progressing", "paused", "baking"), "start"),
    Advice(MACHINE, "the plan holds here until an operator promotes", WAITING, "promote"),
    Advice(MACHINE, "update stable, then reset", DONE, "reset"),
    Advice(LEDGER, "all weights are 0 until an operator sets them", IDLE, "weight"),
)


def in_phase(phase: Phase) -> Rollout:
    """A rollout that has come there as rollouts do, of version v1."""
    if phase == "idle":
        return Rollout()
    state, _ = transition(PLAN, Rollout(), RolloutEvent("start", identity=RolloutIdentity("one", "v1")), 0.0)
    events: dict[Phase, tuple[RolloutEvent, ...]] = {
        "progressing": (),
        "paused": (RolloutEvent("pause"),),
        "baking": (RolloutEvent("promote", full=True),),
        "succeeded": (RolloutEvent("promote", full=True), RolloutEvent("promote")),
        "rolled_back": (RolloutEvent("tick", Observation("fail", "canary failed")),),
    }
    for event in events[phase]:
        state, _ = transition(PLAN, state, event, 1.0)
    assert state.phase == phase
    return state


@pytest.mark.parametrize("one", ADVICE, ids=lambda one: f"{one.file}-{one.verb}")
def test_what_is_advised_is_legal_there(one: Advice) -> None:
    for phase in one.phases:
        state = in_phase(phase)
        if one.verb == "weight":
            assert RouteState(0, "file", 0, "", latched="the stored state was damaged", rollout=state).settable
            continue
        assert one.verb in legal(phase)
        transition(PLAN, state, RolloutEvent(one.verb, reaches=True, identity=RolloutIdentity("two", "v2")), 2.0)


@pytest.mark.parametrize("one", ADVICE, ids=lambda one: f"{one.file}-{one.verb}")
def test_the_words_stand_there_and_name_the_verb(one: Advice) -> None:
    text = " ".join((ROOT / one.file).read_text("utf-8").split())
    assert one.words in text


def test_what_used_to_be_advised_is_refused() -> None:
    for phase in ("progressing", "paused", "baking", "rolled_back"):
        assert not RouteState(0, "file", 0, "", rollout=in_phase(phase)).settable
    with pytest.raises(IllegalTransitionError):
        transition(PLAN, in_phase("idle"), RolloutEvent("retry"), 2.0)


COMMAND = re.compile(r"canaryproxy ([a-z]+)\b[^`|\n]*")


def commands(text: str) -> Iterator[str]:
    """Every command of a text that changes something."""
    yield from (found[0].strip() for found in COMMAND.finditer(text) if found[1] in VERBS)


def test_every_verb_that_an_alert_names_is_in_the_table() -> None:
    rules = yaml.safe_load((ROOT / ALERTS).read_text())["groups"][0]["rules"]
    texts = [words for rule in rules for words in rule.get("annotations", {}).values()]
    listed = [one.words for one in ADVICE if one.file == ALERTS]
    for command in (one for text in texts for one in commands(text)):
        assert any(command in words for words in listed), command


def test_every_command_that_a_page_shows_is_in_the_table() -> None:
    for page in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]:
        name = str(page.relative_to(ROOT))
        if name == "docs/cli.md":
            continue
        listed = " ".join(one.words for one in ADVICE if one.file == name)
        for command in commands(page.read_text("utf-8")):
            short = " ".join(command.partition("#")[0].split())
            assert short in listed, f"{name}: {command}"


def test_every_command_that_is_advised_is_one_of_the_command_line() -> None:
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / ALERTS]
    texts = [page.read_text("utf-8") for page in pages]
    asked = {found for text in texts for found in re.findall(r"`canaryproxy ([a-z]+)\b", text)}
    listed = CliRunner().invoke(app, ["--help"]).stdout
    assert {one for one in asked if not re.search(rf"\b{one}\b", listed)} == set()
