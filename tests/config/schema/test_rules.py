"""Goals as they are written. What is wrong with them: `broken/goals-unfit`."""

import pytest

from canaryproxy.config import ConfigError, parse
from canaryproxy.config.schema.rules import MAX_GOALS
from canaryproxy.config.types.rule import statuses, statuses_text
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition

TWO = "stable: http://a\ncanary: http://b\n"


@pytest.mark.parametrize(
    ("written", "goal"),
    [
        (
            "{name: a, method: POST, path: /cart, status: 2xx}",
            Goal("a", (Condition("method", "in", ("POST",)), Condition("path", "exact", ("/cart",))), ((200, 299),)),
        ),
        (
            "{name: a, path: {prefix: /x}, status: [201, 3XX]}",
            Goal("a", (Condition("path", "prefix", ("/x",)),), ((201, 201), (300, 399))),
        ),
        ("{name: a, header: X-Order-Value}", Goal("a", header="x-order-value")),
        ("{name: a}", Goal("a", reported=True)),
    ],
)
def test_what_is_given_must_hold(written: str, goal: Goal) -> None:
    route = parse(f"{TWO}goals: [{written}]\n", "f", {}).routes["default"]
    assert route.events == (goal,)
    assert route.events is route.events


@pytest.mark.parametrize("text", ["2xx", "404", "[201, 3xx]", "[2xx, 3xx]"])
def test_statuses_are_shown_as_they_are_written(text: str) -> None:
    written = text[1:-1].split(", ") if text.startswith("[") else text
    assert statuses_text(statuses(written)) == text


def test_goals_have_an_end() -> None:
    goals = ", ".join(f"{{name: g{number}}}" for number in range(MAX_GOALS + 1))
    with pytest.raises(ConfigError, match="101 goals; a route has at most 100 goals"):
        parse(f"{TWO}goals: [{goals}]\n", "f", {})
