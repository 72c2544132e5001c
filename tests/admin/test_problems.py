"""Problem documents."""

import json

import pytest

from canaryproxy.admin.problems import TITLES, Problem


@pytest.mark.parametrize("slug", TITLES)
def test_every_problem_has_type_title_and_status(slug: str) -> None:
    told = json.loads(Problem(slug, "because", {"more": 1}).body())
    assert told == {
        "type": f"urn:canaryproxy:problem:{slug}", "title": TITLES[slug][1], "status": TITLES[slug][0],
        "detail": "because", "more": 1,
    }  # fmt: skip
    assert "detail" not in json.loads(Problem(slug).body())
