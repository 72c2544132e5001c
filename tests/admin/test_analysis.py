"""The analysis as the API shows it."""

import math

from canaryproxy.admin.analysis import analysis_of
from canaryproxy.admin.api_call import ApiCall
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.admin.problems import ApiError
from canaryproxy.analysis.finding import Finding, JudgeReport, SampleSizes
from canaryproxy.control.route_states import OPERATOR
from tests.support.admin import Api


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
