"""What a version is called."""

import re

from canaryproxy.config.problems import InvalidValueError

NAME = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
"""Visible characters without spaces: a tag, a digest, an image."""


def version_text(value: object) -> str:
    """A version's name. A number is refused, since `1.10` would be 1.1."""
    if isinstance(value, (int, float)):
        raise InvalidValueError(f'a number may lose its zeros: write it in quotes, such as "{value}"')
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidValueError(
            'expected a version\'s name, such as v42 or "1.10": 1 to 200 visible characters without spaces'
        )
    return value
