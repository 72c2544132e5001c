"""What the judge says, on a terminal."""

from rich.console import Console

from canaryproxy.admin.analysis import analysis_of
from canaryproxy.cli.judgements import judgements
from tests.support.traffic import Version, World, failing


def test_every_check_of_a_canary_with_a_share_has_its_line() -> None:
    world = World(Version(), Version(1.0))
    world.run(5, failing)
    data = analysis_of("shop", world.judge.analysis(world.now)).model_dump()
    shown = judgements(
        [{"route": "shop", "weight": 5, "analysis": data}, {"route": "blog", "weight": 0, "analysis": data}]
    )
    assert shown is not None
    console = Console(width=200)
    with console.capture() as capture:
        console.print(shown)
    lines = capture.get().splitlines()
    assert len(lines) == 2 + len(data["checks"])
    assert "fail" in lines[1]
    assert "canary failed" in lines[1]
    assert "worse" in lines[2]


def test_a_canary_without_a_share_is_not_spoken_of() -> None:
    assert judgements([{"route": "blog", "weight": 0, "analysis": {}}]) is None
