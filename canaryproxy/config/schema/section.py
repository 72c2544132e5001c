"""The base class of every section of the config, and functions that walk sections: their keys, files and written form.

Leaf values are read by pure functions in `types` that raise `InvalidValueError` (see `leaves`); pydantic walks the tree
and collects the errors.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from canaryproxy.config.problems import InvalidValueError, Loc, path_text
from canaryproxy.config.types.certificate import PemFile
from canaryproxy.config.types.secret import HeaderValue, Token

T = TypeVar("T")

# Values that are read from a file, or may be.
FileValue = PemFile | Token | HeaderValue


@dataclass(frozen=True, slots=True)
class ShownAs:
    """How a value of this kind is written in a config, and the word for None, for the reference and `as_written`."""

    write: Callable[[Any], str]
    none: str = "none"

    def text(self, value: object) -> str:
        """The value as written."""
        return self.none if value is None else self.write(value)


class Section(BaseModel):
    """A mapping of the config."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class InvalidDocumentError(ValueError):
    """A part of a config from outside a file that is not valid: `problems` has a path and a sentence for each fault."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {words}" if path else words for path, words in problems))
        self.problems = problems


def validated(adapter: TypeAdapter[T], data: object, skip: int = 0) -> T:
    """A part of a config from plain data. Raises `InvalidDocumentError`, with `skip` parts cut off each path."""
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    places = [tuple(part for part in item["loc"][skip:] if part != "[key]") for item in found]
    words = [_sentence(item["type"], item.get("ctx", {}).get("error")) for item in found]
    raise InvalidDocumentError([(path_text(loc), one) for loc, one in zip(places, words, strict=True)])


def _sentence(kind: str, wrong: object) -> str:
    if isinstance(wrong, InvalidValueError):
        return f"{wrong.found}; {wrong.hint}" if wrong.found else wrong.hint
    return {"missing": "is missing", "extra_forbidden": "is not a known key"}.get(kind, "expected a mapping")


def fields_of(section: type[Section]) -> dict[str, FieldInfo]:
    """The keys of a section: its own first, then those that it shares with other sections."""
    # Not `__annotations__`: Python 3.14 evaluates annotations lazily.
    names = dict.fromkeys(key for kind in section.__mro__ for key in inspect.get_annotations(kind))
    return {key: section.model_fields[key] for key in names if key in section.model_fields}


def sections_in(section: type[Section], path: Loc = ()) -> Iterator[tuple[Loc, type[Section]]]:
    """A section and all sections below it, by path; `*` stands for a name or the index of a list."""
    yield path, section
    for key, field in fields_of(section).items():
        for below, kind in _types(field.annotation):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from sections_in(kind, (*path, key, *below))


def _types(annotation: Any) -> Iterator[tuple[Loc, Any]]:
    """The types of the values of an annotation, each with its path below the key."""
    origin, items = get_origin(annotation), get_args(annotation)
    if not items:
        yield (), annotation
        return
    if origin is Annotated:
        items = items[:1]
    for item in items[-1:] if origin is dict else items:
        for below, kind in _types(item):
            yield ("*", *below) if origin in (tuple, dict) else below, kind


@cache
def _file_keys(section: type[Section]) -> tuple[str, ...]:
    """The keys that can have files below them. The others need not be walked: a config can have a thousand routes."""
    return tuple(key for key, field in section.model_fields.items() if any(map(_has_files, _types(field.annotation))))


def _has_files(typed: tuple[Loc, Any]) -> bool:
    kind = typed[1]
    return isinstance(kind, type) and (
        issubclass(kind, FileValue) or (issubclass(kind, Section) and bool(_file_keys(kind)))
    )


def files_in(value: object, loc: Loc = ()) -> Iterator[tuple[Loc, FileValue]]:
    """Every value below a section that can come from a file, with its path."""
    if isinstance(value, FileValue):
        yield loc, value
    elif isinstance(value, Section):
        for key in _file_keys(type(value)):
            yield from files_in(getattr(value, key), (*loc, key))
    elif isinstance(value, (dict, tuple)):
        items: Iterable[tuple[str | int, object]] = value.items() if isinstance(value, dict) else enumerate(value)
        for part, one in items:
            yield from files_in(one, (*loc, part))


def as_written(section: Section) -> dict[str, object]:
    """The mapping that is read as this section, without keys that have their default; files are given by path."""
    values = {key: (getattr(section, key), field) for key, field in type(section).model_fields.items()}
    return {
        key: _written(value, [one.text for one in field.metadata if isinstance(one, ShownAs)])
        for key, (value, field) in values.items()
        if value != field.default
    }


def _written(value: object, texts: list[Callable[..., str]]) -> object:
    """Numbers, texts and switches as they are; other values as the reference shows them."""
    if isinstance(value, Section):
        return as_written(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {key: _written(one, texts) for key, one in value.items()}
    if type(value) is tuple and not texts:
        return [_written(one, texts) for one in value]
    text = texts[0](value) if texts else str(value)
    return text[1:-1].split(", ") if text.startswith("[") else text
