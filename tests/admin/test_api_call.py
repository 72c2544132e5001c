"""A call builds upon a revision, or upon none."""

import pytest

from canaryproxy.admin.api_call import ApiCall, tagged
from canaryproxy.admin.preconditions import tag
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
    assert (stale.value.slug, stale.value.headers["ETag"]) == ("stale", tag(now))
