"""A canary outside a config file: a document of the API or of the stored state, in the form of the config."""

import json
from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter

from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.config.schema.section import files_in, validated

_VERSION = TypeAdapter(VersionConfig)


@dataclass(frozen=True)
class CanaryDocument:
    """A canary that was set over the API. `written` is its JSON as sent; empty if the API removed the canary.

    `version` is the canary that it describes now. It is None if the canary was removed, and if a stored document is not
    valid any more, for example because a file was deleted; `problem` then has the reason.
    """

    written: str
    version: VersionConfig | None = field(default=None, compare=False)
    problem: str = field(default="", compare=False)

    @classmethod
    def kept(cls, written: str) -> Self:
        """From a stored document. The files that it names are read now."""
        if not written:
            return cls("")
        try:
            return cls(written, version_from_written(json.loads(written)))
        except ValueError as error:
            return cls(written, None, str(error))

    def renewed(self) -> Self:
        """With the present contents of its files. If they cannot be read, the previous contents are kept."""
        if self.version is None or not any(value.path for _, value in files_in(self.version)):
            return self
        again = self.kept(self.written)
        return type(self)(self.written, self.version, again.problem) if again.problem else again


# The API removed the canary of the config file.
NO_CANARY = CanaryDocument("")


def canary_set(written: object) -> CanaryDocument:
    """A canary in the form of the config, set over the API. Raises `InvalidDocumentError`."""
    written = _whole(written)
    return CanaryDocument(json.dumps(written), version_from_written(written))


def _whole(written: object) -> object:
    """With whole numbers as int: JSON does not distinguish 5.0 from 5."""
    if isinstance(written, dict):
        return {key: _whole(value) for key, value in written.items()}
    return int(written) if isinstance(written, float) and written.is_integer() else written


def version_from_written(written: object) -> VersionConfig:
    """A version in the form of the config: a URL, or a mapping. Raises `InvalidDocumentError`."""
    return validated(_VERSION, written)
