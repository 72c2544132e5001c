"""Problem documents."""

import json

import pytest

from canaryproxy.admin.problems import MAX_DETAIL_LENGTH, TITLES, ApiError


@pytest.mark.parametrize("slug", TITLES)
def test_every_problem_has_type_title_and_status(slug: str) -> None:
    data = json.loads(ApiError(slug, "because", {"more": 1}).body())
    assert data == {
        "type": f"urn:canaryproxy:problem:{slug}",
        "title": TITLES[slug][1],
        "status": TITLES[slug][0],
        "detail": "because",
        "more": 1,
    }
    assert "detail" not in json.loads(ApiError(slug).body())


def test_what_is_said_of_an_error_is_bounded_and_prints() -> None:
    body = ApiError("invalid", "x\x7f\x9b\n" * 10_000, {"errors": ["\x7f"]}).body()
    assert body.decode().removesuffix("\n").isprintable()
    data = json.loads(body)
    assert data["detail"] == ("x\x7f\x9b\n" * 10_000)[:MAX_DETAIL_LENGTH] + "..."
    assert data["errors"] == ["\x7f"]
