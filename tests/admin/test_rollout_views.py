"""The last rollouts and their reports, as the API shows them."""

import math
from typing import Any

import pytest

from canaryproxy.admin.api_call import ApiCall
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.rollout_models import VERBS
from canaryproxy.admin.rollout_views import analysis_of
from canaryproxy.analysis.finding import Finding, JudgeReport, SampleSizes
from canaryproxy.control.route_states import OPERATOR
from canaryproxy.rollout.state import Verb
from tests.support.admin import Api


async def asked(api: Api, method: str, path: str, body: object = None, **names: str) -> dict[str, Any]:
    whole = f"/api/v1/routes/{{route}}/{path}"
    (operation,) = (one for one in OPERATIONS if (one.method, one.path) == (method, whole))
    answer = await operation.run(ApiCall(api.knowledge, OPERATOR, {"route": "shop", **names}, {}, body))
    return answer.body.model_dump()


async def did(api: Api, verb: Verb, **body: Any) -> dict[str, Any]:
    return await asked(api, "POST", f"rollout/{verb}", body)


async def test_a_rollout_has_an_id_and_names_from_its_start_on() -> None:
    api = await Api().start()
    begun = await did(api, "start", version="v42", stable_version="v41")
    assert (begun["canary_version"], begun["stable_version"], begun["phase"]) == ("v42", "v41", "progressing")
    assert begun["id"].startswith("20270115-080000-")
    route = api.knowledge.route("shop")
    assert (route.rollout_id, route.stable_version, route.canary_version) == (begun["id"], "v41", "v42")
    (entry,) = (await asked(api, "GET", "history"))["entries"]
    assert (entry["rollout_id"], entry["stable_version"], entry["canary_version"]) == (begun["id"], "v41", "v42")
    assert begun["id"] in entry["detail"]
    assert (await asked(api, "GET", "rollout"))["id"] == begun["id"]
    again = await did(api, "start", version="v42")
    assert again["id"] == begun["id"]


async def test_the_last_ones_are_there_after_a_rollback_and_after_a_reset() -> None:
    api = await Api().start()
    one = (await did(api, "start", version="v42"))["id"]
    assert (await asked(api, "GET", "rollout/report"))["result"] == "under_way"
    await did(api, "abort")
    for _ in range(2):
        report = await asked(api, "GET", "rollout/report")
        assert (report["rollout_id"], report["result"], report["canary_version"]) == (one, "rolled_back", "v42")
        assert (report["why"], report["verdict"]) == ("aborted by operator", "inconclusive")
        assert report == await asked(api, "GET", "rollouts/{rollout}/report", rollout=one)
        if api.rollouts.of("shop").phase == "rolled_back":
            await did(api, "reset")
    assert (await asked(api, "GET", "rollout"))["id"] is None
    two = (await did(api, "start", version="v43"))["id"]
    three = (await did(api, "start", version="v44"))["id"]
    listed = (await asked(api, "GET", "rollouts"))["rollouts"]
    assert [(x["id"], x["result"], x["canary_version"], x["superseded_by"]) for x in listed] == [
        (three, "under_way", "v44", None),
        (two, "superseded", "v43", three),
        (one, "rolled_back", "v42", None),
    ]
    assert await asked(api, "GET", "rollouts/{rollout}", rollout=two) == listed[1]


async def test_one_that_is_not_known_is_a_problem_that_names_those_that_are() -> None:
    api = await Api().start()
    for path in ("rollouts/{rollout}", "rollouts/{rollout}/report"):
        with pytest.raises(ApiError) as none:
            await asked(api, "GET", path, rollout="20200101-000000-aaaaa")
        assert (none.value.slug, none.value.detail) == ("no-such-rollout", "the last rollouts are: none")
    begun = await did(api, "start")
    with pytest.raises(ApiError) as other:
        await asked(api, "GET", "rollouts/{rollout}", rollout="nope")
    assert begun["id"] in other.value.detail


async def test_where_none_was_the_report_is_of_what_is_known_now() -> None:
    api = await Api().start()
    report = await asked(api, "GET", "rollout/report")
    assert (report["rollout_id"], report["result"], report["exposed"]["requests"]) == (None, None, 0)


async def test_only_a_start_names_versions_and_only_with_visible_characters() -> None:
    api = await Api().start()
    for verb in VERBS.keys() - {"start", "retry"}:
        with pytest.raises(ApiError) as wrong:
            await did(api, verb, version="v1")
        assert (wrong.value.slug, wrong.value.detail.startswith("version: ")) == ("invalid", True)
    for name in ("v 1", "v\n", "x" * 201, "vé", None, 7):
        with pytest.raises(ApiError) as unfit:
            await did(api, "start", version=name)
        assert unfit.value.slug == "invalid"
    assert api.rollouts.of("shop").phase == "idle"


async def test_the_same_version_is_refused_after_an_abort_and_the_next_one_starts() -> None:
    api = await Api().start()
    await did(api, "start", version="v42")
    await did(api, "abort")
    for body in ({"version": "v42"}, {}):
        with pytest.raises(ApiError) as refused:
            await did(api, "start", **body)
        assert refused.value.slug == "illegal-phase"
        assert "retry" in refused.value.detail
    assert (await did(api, "start", version="v43"))["phase"] == "progressing"
    await did(api, "abort")
    assert (await did(api, "retry"))["canary_version"] == "v43"


def test_a_route_without_traffic_has_an_analysis() -> None:
    api = Api()
    found = analysis_of("blog", api.judges.analysis("blog", api.clock))
    assert (found.verdict, found.reason) == ("inconclusive", "the canary has no share of the traffic")
    assert [one.name for one in found.checks] == ["errors", "latency", "refusals", "limit:error_rate", "sample-ratio"]
    assert any(one.path.endswith("/analysis") for one in OPERATIONS)


def test_numbers_have_six_digits_and_are_finite() -> None:
    check = Finding(
        "errors", "fail", "words", interval=(1.5, None), samples=SampleSizes(1, 2), evidence=math.inf, threshold=100
    )
    found = analysis_of("shop", JudgeReport("fail", "words", 123.4567891, 100.00000000000001, (check,), 1.23456, 525))
    assert (found.evidence, found.threshold, found.weight, found.seconds) == (123.457, 100.0, 5.25, 1.235)
    assert found.checks[0].evidence == 1e300
    assert found.checks[0].interval == [1.5, None]


async def test_a_webhook_goes_by_the_status_whether_the_verdict_is_as_it_wants() -> None:
    api = await Api().start()
    (gate,) = (one for one in OPERATIONS if one.path.endswith("/analysis/{verdict}"))

    async def asked(verdict: str) -> str:
        path = {"route": "shop", "verdict": verdict}
        try:
            answer = await gate.run(ApiCall(api.knowledge, OPERATOR, path, {}))
        except ApiError as problem:
            return f"{problem.status} {problem.detail}"
        return str(answer.status)

    assert await asked("inconclusive") == "200"
    assert await asked("pass") == "409 inconclusive: the canary has no share of the traffic"
    assert await asked("fail") == "409 inconclusive: the canary has no share of the traffic"
    assert (await asked("good")).startswith("422 verdict: expected pass")
    assert (gate.method, gate.role) == ("POST", "read")
