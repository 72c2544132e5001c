"""Goals in `canaryproxy status`."""

from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.cli.goals import figures, goals
from canaryproxy.model.report import Delta, GoalDelta, UsersDelta
from tests.support.admin import Api
from tests.support.live import live


def test_both_versions_stand_side_by_side() -> None:
    api = Api(route="    affinity: cookie\n    goals: [{name: cart, path: /cart}, {name: sold}]\n")
    api.served("canary", 50)
    event = GoalDelta("shop", "canary", "cart", True, 5, 12.5, {31: 5}, 0, {1: 12.5})
    data = Delta(
        1,
        api.clock,
        users=(UsersDelta("shop", "canary", 500, 0, frozenset((1, 2, 3, 4)), frozenset((1,))),),
        goals=(event,),
    )
    api.window.add(data)
    api.users.add(data, lambda _: 500)
    with live(api) as served:
        done = CliRunner().invoke(app, ["status", "--admin", served.url], env={"COLUMNS": "240"})
    lines = done.stdout.splitlines()
    cart = next(line.split() for line in lines if " cart " in line)
    assert cart == ["shop", "cart", "0", "0.00", "-", "-", "5", "12.50", "10.00%", "25.00%"]
    assert any(" sold " in line for line in lines)
    assert "4(1)" in next(line for line in lines if " canary " in line and " 5% " in line)


def test_without_goals_there_is_no_table() -> None:
    assert goals([{"route": "a", "stats": {"versions": {"stable": {"goals": {}}, "canary": {"goals": {}}}}}]) is None
    assert figures({"events": 1_000, "value": 1e6, "per_request": None, "per_user": 0.5}) == [
        "1,000",
        "1,000,000.00",
        "-",
        "50.00 %",
    ]
