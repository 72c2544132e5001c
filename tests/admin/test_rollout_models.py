"""What the API takes of a rollout's verbs."""

from typing import get_args

import pytest
from pydantic import ValidationError

from canaryproxy.admin.rollout_models import VERBS, BeginBody, body_of
from canaryproxy.rollout.state import Verb


def test_every_verb_is_described() -> None:
    assert set(VERBS) == set(get_args(Verb))
    assert [verb for verb in VERBS if body_of(verb) is BeginBody] == ["start", "retry"]


@pytest.mark.parametrize("version", ["", "v42", "registry:5000/shop@sha256:01", "!~"])
def test_a_version_is_visible_characters(version: str) -> None:
    assert BeginBody(version=version).version == version


@pytest.mark.parametrize("version", ["v 42", "v42\n", "é", "x" * 201, None, 42])
def test_anything_else_is_refused(version: object) -> None:
    with pytest.raises(ValidationError):
        BeginBody(version=version)  # type: ignore[arg-type]
