"""`ETag` and `If-Match` (RFC 9110 8.8, 13.1.1): a change that builds upon what is not there any more is refused."""

import re

from canaryproxy.admin.problems import ApiError

ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
"""A tag may hold a comma."""


def tag(revision: int) -> str:
    """The entity tag of a route: another one whenever something about it was changed. The revision is stored with the
    route, so a tag is good after a restart too.
    """
    return f'"{revision:x}"'


def entity_tags(field: str) -> frozenset[str] | None:
    """The tags of an `If-Match`, None for `*`. They are compared strongly, so a weak one is like no other. Raises
    `ApiError` for what is no list of tags.
    """
    if field.strip(" \t") == "*":
        return None
    found, rest = [], field.strip(", \t")
    while (one := ENTITY_TAG.match(rest)) is not None:
        found.append(one[0])
        after = rest[one.end() :].lstrip(" \t")
        if not after:
            return frozenset(found)
        rest = after.lstrip(", \t") if after.startswith(",") else ""
    raise ApiError("malformed", 'If-Match: expected * or tags in quotes, as ETag gives them, such as "64f3a1b2c3d4e"')
