"""Lists as users write them, before their items are read.

Pure functions that raise `Wrong`. YAML's lists come out as tuples, since a config never changes.
"""

from canaryproxy.config.problem import Wrong


def any_number(value: object) -> tuple[object, ...]:
    """A list, empty or not. A single text is not one, and told how to become one."""
    if isinstance(value, list):
        return tuple(value)
    raise Wrong(f"expected a list: write [{value}]" if isinstance(value, str) and value else "expected a list")


def one_or_more(value: object) -> tuple[object, ...]:
    """A list with something in it: where an empty one could be taken for all or for nothing."""
    items = any_number(value)
    if not items:
        raise Wrong("leave the key out for its default, or give at least one item", found="an empty list")
    return items


def listeners(value: object) -> tuple[object, ...]:
    """A list of listeners, or a single address, which is short for a list of one."""
    if isinstance(value, dict):
        raise Wrong("several listeners are a list: begin each with `- address: `")
    return one_or_more(value) if isinstance(value, list) else ({"address": value},)
