"""What of both versions can be compared, as plain data."""

import json

from canaryproxy.analysis.finding import Exposure, Finding, JudgeReport
from canaryproxy.analysis.report import report


def test_a_report_tells_what_can_be_compared_and_what_it_cost() -> None:
    same = Finding("errors", "pass", "words", "no difference shown", 0.01, 0.01, 1.0, (0.8, None), "request", p=0.5)
    alone = Finding("limit:error_rate", "pass", "words")
    found = JudgeReport("pass", "fine", 1, 100, (same, alone), 9, 500, exposed=Exposure(640, 13, 12.42))
    data = report(found, 17)
    assert [(one["name"], one["comparison"], one["interval"]) for one in data["comparison"]] == [
        ("errors", "no difference shown", [0.8, None])
    ]
    assert data["exposed"] == {"requests": 640, "failed": 13, "beyond_stable": 12.42, "users": 17}
    assert json.loads(json.dumps(data)) == data
