"""All operations of the API, by resource. Router and OpenAPI are made from this table."""

from canaryproxy.admin import canaries, goals, rollouts, routes, rules

OPERATIONS = (*routes.OPERATIONS, *rules.OPERATIONS, *canaries.OPERATIONS, *rollouts.OPERATIONS, *goals.OPERATIONS)
