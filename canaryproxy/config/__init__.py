"""Reads the config: YAML or command-line flags become a validated `Config`, or a list of all problems.

`load` runs the steps: `yaml` reads the text into a plain tree with positions and expands `${ENV}`; `short_form`
converts it to the full form; `schema` validates it and adds defaults, with the readers of `types` for single values;
`conflicts` checks entries against each other. `diagnose` converts all faults to `ConfigProblem`s,
which are raised together as a `ConfigError`.
"""

from canaryproxy.config.load import from_flags, load, parse
from canaryproxy.config.problems import ConfigError, ConfigProblem
from canaryproxy.config.schema.root import Config

__all__ = ["Config", "ConfigError", "ConfigProblem", "from_flags", "load", "parse"]
