"""What the user writes: YAML or flags in, a validated `Config` or every problem at once out.

The way of a file: `document` (YAML to a plain tree, each path with its place, `${ENV}` expanded) ->
`schema` (the shape and the defaults, leaf values read by `quantity`, `address` and `match`) ->
`claims` (what only several routes together can get wrong) -> `Config`. Whatever goes wrong on the
way becomes a `ConfigProblem`: `explain` finds the words, `load` raises them together as a `ConfigError`.
"""

from canaryproxy.config.load import from_flags, load, parse
from canaryproxy.config.problems import ConfigError, ConfigProblem
from canaryproxy.config.schema.root import Config

__all__ = ["Config", "ConfigError", "ConfigProblem", "from_flags", "load", "parse"]
