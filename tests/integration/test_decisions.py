"""One table of cases, three answers: the pure decision, `explain`, and the live proxy. H54, H55."""

import json
import random
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead
from canaryproxy.model.settings import Limits
from canaryproxy.routing.decide import decide
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Splits
from tests.support.cluster import run, running_cluster
from tests.support.decisions import Case, cases

CASES = cases()


def head_of(case: Case) -> RequestHead:
    reader = RequestParser(Limits())
    reader.feed(case.head)
    head = reader.next()
    assert isinstance(head, RequestHead)
    return head


def test_there_are_at_least_sixty_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_pure_decision_is_as_the_table_says(case: Case) -> None:
    client = Client("127.0.0.1", networks=case.read().server.trusted_proxies)
    splits = Splits(random.Random(1).random)
    decision = decide(RouteIndex(case.table()), head_of(case), client, splits, lambda _: pytest.fail("no choice"))[0]
    assert (decision.version.name, decision.reason) == (case.version, case.reason)
    assert decision.analysed is (case.reason in ("weight", "affinity"))


@pytest.mark.parametrize("case", [case for case in CASES if not case.aborted], ids=str)
def test_explain_says_what_the_table_says(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(case.config.replace("STABLE", "1").replace("CANARY", "2"))
    command = ["explain", str(path), "--json", case.method, case.target]
    for name, value in case.fields:
        command += ["--header", f"{name}: {value}"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, shlex.join(command)
    data = json.loads(result.output)
    assert (data["version"], data["reason"]) == (case.version, case.reason)
    decided = [rule["name"] for rule in data["rules"] if rule["decides"]]
    assert decided == ([case.reason.removeprefix("rule:")] if case.reason.startswith("rule:") else [])
    assert all(rule["why"] for rule in data["rules"])


def test_the_live_proxy_does_what_the_table_says() -> None:
    async def test() -> None:
        trusted = CASES[0].read().server.trusted_proxies
        async with running_cluster(trusted=trusted) as w:
            for generation, case in enumerate(CASES, 2):
                w.publish(case.table(w.stable_port, w.canary_port), generation)
                answer = await w.ask(case.head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                assert b"\r\nX-Canary-Version: " + case.version.encode() in answer, str(case)
                reasons = {cell.key.reason for cell in w.collect().cells if cell.starts}
                assert reasons == {case.reason}, str(case)

    run(test(), 60)
