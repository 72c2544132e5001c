"""Files that the config names: read in one bounded go when the config is."""

from pathlib import Path

from canaryproxy.config.problem import Wrong


def read_named(value: object, largest: int, expected: str) -> tuple[Path, bytes]:
    """A file by its path, which counts from the working directory, and what it holds: at most one byte more than
    `largest`, by which the caller knows that it is too long. Raises `Wrong`, with what was `expected`.
    """
    if not isinstance(value, str) or not value:
        raise Wrong(expected)
    path = Path(value)
    try:
        with path.open("rb") as file:
            return path, file.read(largest + 1)
    except OSError as error:
        raise Wrong(f"this file cannot be read ({error.strerror or 'unknown error'}); {expected}") from None
    except ValueError:
        raise Wrong(expected) from None
