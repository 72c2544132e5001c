"""What a version is called in the config."""

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.version import version_text


@pytest.mark.parametrize("name", ["v42", "1.10", "registry:5000/shop@sha256:0123", "x" * 200])
def test_a_tag_a_digest_or_an_image(name: str) -> None:
    assert version_text(name) == name


@pytest.mark.parametrize("number", [1.1, 42, True])
def test_a_number_is_refused_since_its_zeros_would_be_lost(number: object) -> None:
    with pytest.raises(InvalidValueError, match="write it in quotes"):
        version_text(number)


@pytest.mark.parametrize("wrong", ["", "v 42", "v\n42", "x" * 201, "vé", None, ["v42"]])
def test_anything_else_is_none(wrong: object) -> None:
    with pytest.raises(InvalidValueError, match="expected a version's name"):
        version_text(wrong)
