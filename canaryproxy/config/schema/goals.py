"""The section of a goal: a business event that is counted for each version."""

from pydantic import Field

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.config.types.readers import distinct, sequence
from canaryproxy.model.goal import REACHED, Goal
from canaryproxy.model.rule import Condition

MAX_GOALS = 100
"""Goals of one route: each has metric series of its own."""


class GoalConfig(Section):
    """A business event. A response is counted if it meets all given conditions. A goal with only a name is reported
    through the API.
    """

    name: leaves.RuleName = Field(
        description="Name in metrics and stats, unique in the route.", examples=["add_to_cart"]
    )
    method: leaves.Method | None = Field(default=None, description="Method of the request.", examples=["POST"])
    path: leaves.PathMatch = None
    status: leaves.Statuses = Field(
        default=REACHED, description="Statuses of responses that are counted.", examples=["201"]
    )
    header: leaves.HeaderName | None = Field(
        default=None,
        description="Response header that contains the value of the event: digits, with at most six decimals. A "
        "response without this header, or with any other text in it, is not counted. Values above 1,000,000,000 are "
        "reduced to that. Without this key every event has the value 1.",
        examples=["x-order-value"],
    )

    @property
    def goal(self) -> Goal:
        """The goal for the routing table."""
        conditions = [] if self.method is None else [Condition("method", "in", (self.method,))]
        if self.path is not None:
            conditions.append(Condition("path", *self.path))
        reported = not self.model_fields_set - {"name"}
        return Goal(self.name, tuple(conditions), self.status, self.header or "", reported)


def goal_list(value: object) -> tuple[object, ...]:
    """A list of goals with different names."""
    goals = distinct("goal")(sequence(value))
    if len(goals) > MAX_GOALS:
        raise InvalidValueError(f"a route has at most {MAX_GOALS} goals", found=f"{len(goals)} goals")
    return goals
