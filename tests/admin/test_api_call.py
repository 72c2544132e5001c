"""A call builds upon a revision, or upon none."""

import pytest

from canaryproxy.admin.api_call import ApiCall, entity_tags, tag, tagged
from canaryproxy.admin.problems import ApiError
from canaryproxy.control.route_states import Actor
from tests.support.admin import Api


async def test_a_call_says_which_revision_it_builds_upon() -> None:
    api = await Api().start()

    def call(if_match: str | None) -> ApiCall:
        return ApiCall(api.knowledge, Actor("ci", "write"), {"route": "shop"}, {}, None, if_match)

    now = api.ledger.revision("shop")
    assert (call(None).revision, call("*").revision, call(f'"x", {tag(now)}').revision) == (None, None, now)
    assert tagged(call(None)) == {"ETag": tag(now)}
    with pytest.raises(ApiError) as stale:
        _ = call(tag(4)).revision
    assert (stale.value.slug, stale.value.headers["ETag"]) == ("revision-conflict", tag(now))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"a"', {'"a"'}),
        ('"a", W/"b" ,"c"', {'"a"', 'W/"b"', '"c"'}),
        ('"a,b"', {'"a,b"'}),
        ('""', {'""'}),
        (' ,"a",, ', {'"a"'}),
    ],
)
def test_tags_are_listed(field: str, expected: frozenset[str]) -> None:
    assert entity_tags(field) == frozenset(expected)


def test_a_star_is_any() -> None:
    assert entity_tags(" * ") is None


@pytest.mark.parametrize("field", ["", " ", ",", "a", '"a', 'a"', '"a" "b"', '"a";"b"', '*, "a"', '"a", *', 'w/"a"'])
def test_what_is_no_list_of_tags_is_malformed(field: str) -> None:
    with pytest.raises(ApiError) as problem:
        entity_tags(field)
    assert problem.value.status == 400


def test_tags_differ_with_the_revision() -> None:
    assert tag(1) != tag(2)
    assert entity_tags(tag(1)) == frozenset((tag(1),))
