"""Which tags an `If-Match` names."""

import pytest

from canaryproxy.admin.preconditions import entity_tags, tag
from canaryproxy.admin.problems import ApiError


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
