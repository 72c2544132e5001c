"""A canary from plain data, outside a config file: what the API is sent and the state has kept."""

import json
from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter, ValidationError

from canaryproxy.config.problems import InvalidValueError, path_text
from canaryproxy.config.schema.route import VersionConfig

_VERSION = TypeAdapter(VersionConfig)


class InvalidVersionError(ValueError):
    """Not a version: `problems` has (path, what is wrong) for each fault."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {words}" if path else words for path, words in problems))
        self.problems = problems


@dataclass(frozen=True)
class CanaryDocument:
    """A canary that is set over the API: `written` is its JSON as sent, empty where there is to be none.

    `version` is what it means now. It is None where there is to be none, and where what was kept does not hold up any
    more, since a file that it names is gone; `problem` says so then.
    """

    written: str
    version: VersionConfig | None = field(default=None, compare=False)
    problem: str = field(default="", compare=False)

    @classmethod
    def kept(cls, written: str) -> Self:
        """From what was kept. The files that it names are read now."""
        if not written:
            return cls("")
        try:
            return cls(written, version_from_written(json.loads(written)))
        except ValueError as error:
            return cls(written, None, str(error))

    def renewed(self) -> Self:
        """With what its files hold now. What can be read no more goes on as it was read last."""
        if self.version is None or not _reads_files(self.version):
            return self
        again = self.kept(self.written)
        return type(self)(self.written, self.version, again.problem) if again.problem else again


def _reads_files(version: VersionConfig) -> bool:
    return version.tls is not None or (version.health is not None and bool(version.health.files))


NO_CANARY = CanaryDocument("")
"""There is to be none, whatever the file says."""


def canary_set(written: object) -> CanaryDocument:
    """A canary as in the config, set over the API. Raises `InvalidVersionError`."""
    written = _whole(written)
    return CanaryDocument(json.dumps(written), version_from_written(written))


def _whole(written: object) -> object:
    """JSON knows one kind of number: 5.0 is 5."""
    if isinstance(written, dict):
        return {key: _whole(value) for key, value in written.items()}
    return int(written) if isinstance(written, float) and written.is_integer() else written


def version_from_written(written: object) -> VersionConfig:
    """A version as in the config: a URL, or a mapping. Raises `InvalidVersionError`."""
    try:
        return _VERSION.validate_python(written)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise InvalidVersionError([(path_text(item["loc"]), _words(item["type"], item.get("ctx", {}))) for item in found])


def _words(kind: str, context: dict[str, object]) -> str:
    wrong = context.get("error")
    if isinstance(wrong, InvalidValueError):
        return f"{wrong.found}; {wrong.hint}" if wrong.found else wrong.hint
    return {"missing": "is missing", "extra_forbidden": "is not known here"}.get(kind, "expected a mapping")
