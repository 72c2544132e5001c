"""Writes the reference of the config from the schema: `python -m canaryproxy.config.reference [FILE]`.

Description, default and example of a key are in the schema only. Its expected value is taken from the error of its
reader for a value that no reader accepts.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from canaryproxy.config.problems import InvalidValueError, Loc, section_text
from canaryproxy.config.schema.root import SECTIONS
from canaryproxy.config.schema.route import VERSION_EXPECTED
from canaryproxy.config.schema.section import fields_of

DEFAULT_PATH = Path("docs/configuration.md")

_INTRODUCTION = """\
# Configuration

<!-- Written from the schema by `python -m canaryproxy.config.reference`. Change the descriptions there. -->

Two lines are a working canary:

```yaml
stable: http://localhost:9001
canary: http://localhost:9002
```

That is one route named `default`, for every host and path, with weight 0: all traffic goes to stable until the
weight is changed. All other keys of a route (`weight: 5`) and `server` can be added to the two lines.
For several routes, give each a name under `routes`:

```yaml
server:
  listen: 0.0.0.0:8080
routes:
  shop:
    hosts: [shop.example.com]
    stable: http://shop-stable:8080
    canary: http://shop-canary:8080
    weight: 5
```

The two forms cannot be mixed: beside `routes` only `server` is allowed. `canaryproxy check FILE` reports all problems
of a file, each with its line, key path and a suggested fix. Complete examples are in `config/`.

## How values are written

- **Durations** have a unit: `500ms`, `1.5s`, `5m`, `1h`. Each has one unit: `90s`, not `1m30s`. A zero needs no unit.
- **Sizes** are bytes, or have the unit `B`, `KiB`, `MiB` or `GiB` (1KiB is 1024 bytes): `8192`, `64KiB`.
- **Percentages** are numbers from 0 to 100 with at most two decimals (`5`, `0.25`), or text with a percent sign
  (`0.25%`). In quotes the sign is required, without a space before it.
- **`off` and `none`** mean the same, with or without quotes. `false` and `null` can replace them.
- **`${NAME}`** is replaced by the environment variable, **`${NAME:-default}`** by the default if the variable is unset
  or empty. An unset variable without a default is an error. `$${` is a literal `${`. Only values are expanded, never
  keys. The result is always a single value; without quotes it becomes a number if it looks like one. Inside `[ ]` and
  `{ }` a value with `${NAME}` needs quotes.
- **Hosts and URLs** are compared in lower case. International names are written in their ASCII form (`xn--...`).
- A key must not be repeated. Unknown keys are errors. YAML anchors, aliases and merge keys (`<<: *name`) work; tags do
  not. A file has at most 4 MiB and one document.
"""


def render() -> str:
    """The whole reference as Markdown."""
    parts = [_INTRODUCTION]
    seen: set[type] = set()
    for path, section in SECTIONS.items():
        if section not in seen:
            seen.add(section)
            parts.append("\n".join(_section(path, section)))
    return "\n".join(parts)


def _section(path: Loc, section: Any) -> Iterator[str]:
    yield f"## {_title(path)}\n"
    yield f"{inspect.cleandoc(section.__doc__)}\n"
    for key, field in fields_of(section).items():
        yield f"### `{key}`\n"
        facts = list(_facts(path, key, field))
        yield "\n".join([f"{field.description}\n", *facts, ""] if facts else [f"{field.description}\n"])


def _facts(path: Loc, key: str, field: Any) -> Iterator[str]:
    nested = (*path, key) in SECTIONS and not field.examples
    if not nested and (expected := _expected(path, key, field)):
        yield f"- Expected: {expected}"
    if field.is_required():
        yield "- Required"
    elif not nested:
        yield f"- Default: {_default(key, field)}"
    if field.examples:
        yield f"- Example: `{key}: {field.examples[0]}`"


def _expected(path: Loc, key: str, field: Any) -> str:
    if (*path, key) in SECTIONS:
        return VERSION_EXPECTED.removeprefix("expected ")
    if (*path, key, "*") in SECTIONS:
        return "a list; see below"
    items = get_args(field.annotation)
    if get_origin(field.annotation) is dict:
        name, value = (_asked(item.__metadata__[0].func) for item in items)
        return f"a mapping of names ({name}) to values: {value}"
    if len(items) == 2 and items[1] is Ellipsis and hasattr(items[0], "__metadata__"):
        return f"a list, each item {_asked(items[0].__metadata__[0].func)}"
    optional = [item for kind in items for item in getattr(kind, "__metadata__", ())]
    readers = [item.func for item in (*field.metadata, *optional) if hasattr(item, "func")]
    return _asked(readers[0]) if readers else ""


def _asked(read: Callable[[object], object]) -> str:
    """The expectation in the error of a reader."""
    try:
        read(object())
    except InvalidValueError as wrong:
        return wrong.hint.removeprefix("expected ")
    return ""


def _default(key: str, field: Any) -> str:
    value = field.default
    if hasattr(value, "model_dump"):
        return "see below"
    texts = [item.text for item in field.metadata if hasattr(item, "text")]
    if texts:
        return f"`{texts[0](value)}`"
    if value is None or value in ((), {}):
        return "any" if key in ("hosts", "methods", "path", "sources") else "none"
    if isinstance(value, tuple):
        shown = ", ".join(str(getattr(item, "address", item)) for item in value)
        return f"`[{shown}]`" if isinstance(value[0], str) else f"`{shown}`"
    return f"`{value}`"


def _title(path: Loc) -> str:
    text = f"`{section_text(path)}`" if path else "The whole file"
    return f"{text} and `canary`" if path[-1:] == ("stable",) else text


def main(arguments: list[str]) -> None:
    """Write the reference to the first argument, or to its path in the repository."""
    target = Path(arguments[0]) if arguments else DEFAULT_PATH
    target.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
