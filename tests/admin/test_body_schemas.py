"""What the OpenAPI promises of a canary is what the config's own reader takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.admin.body_schemas import CANARY_SCHEMA
from canaryproxy.config.canary_document import canary_set, version_from_written


def drawn(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Anything that this schema allows; just the keywords that it uses."""
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return st.one_of(*map(drawn, schema[several]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if isinstance(schema["type"], list):
        return st.one_of(*(drawn({**schema, "type": kind}) for kind in schema["type"]))
    if schema["type"] == "null":
        return st.none()
    if schema["type"] == "string":
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    if schema["type"] == "integer":
        whole = st.integers(schema["minimum"], schema["maximum"])
        return whole | whole.map(float)
    if schema["type"] == "array":
        return st.lists(drawn(schema["items"]), min_size=schema["minItems"], max_size=4)
    parts = {key: drawn(part) for key, part in schema["properties"].items()}
    needed = set(schema["required"])
    return st.fixed_dictionaries(
        {key: part for key, part in parts.items() if key in needed},
        optional={key: part for key, part in parts.items() if key not in needed},
    )


@given(drawn(CANARY_SCHEMA))
def test_every_canary_of_the_schema_is_one(written: object) -> None:
    assert canary_set(written).version is not None


@pytest.mark.parametrize("written", ["http://shop-canary:8080", {"url": "http://a"}, CANARY_SCHEMA["example"]])
def test_the_usual_forms_are_taken(written: object) -> None:
    assert version_from_written(written).origins
