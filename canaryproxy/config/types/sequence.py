"""Lists as users write them, before their items are read.

Pure functions that raise `InvalidValueError`. YAML's lists come out as tuples, since a config never changes.
"""

from canaryproxy.config.problems import InvalidValueError


def sequence(value: object) -> tuple[object, ...]:
    """A list, empty or not. A single text is an error that shows how to write a list."""
    if isinstance(value, list):
        return tuple(value)
    raise InvalidValueError(
        f"expected a list: write [{value}]" if isinstance(value, str) and value else "expected a list"
    )


def non_empty_sequence(value: object) -> tuple[object, ...]:
    """A list with something in it: where an empty one could be taken for all or for nothing."""
    items = sequence(value)
    if not items:
        raise InvalidValueError("leave the key out for its default, or give at least one item", found="an empty list")
    return items


def listeners(value: object) -> tuple[object, ...]:
    """A list of listeners, or a single address, which is short for a list of one."""
    if isinstance(value, dict):
        raise InvalidValueError("several listeners are a list: begin each with `- address: `")
    return non_empty_sequence(value) if isinstance(value, list) else ({"address": value},)
