"""`canaryproxy demo`: sample services, the proxy in front of them, and traffic in one process."""

from typing import Annotated

import typer

# Requests per second.
PLAY_RATE, STORY_RATE = 40.0, 200.0


def demo(
    weight: Annotated[float, typer.Option(min=0, max=100, help="With --play: weight of the canary in percent.")] = 10,
    rate: Annotated[float | None, typer.Option(min=1, max=500, help="Requests per second.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after this time.")] = None,
    *,
    play: Annotated[bool, typer.Option("--play", help="Two shops with live figures, until Ctrl-C.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Compare with ten replicas behind round-robin.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --compare: print the results as JSON.")] = False,
) -> None:
    """Guided demo: no config, no network, nothing to install.

    Starts two versions of a sample shop, the proxy in front of them and visitors, all in this process. Four rollouts
    follow: a good canary is raised to 100 %; canaries that fail, are slow or sell less are not, with the reason.
    """
    if compare:
        from canaryproxy.cli.demo.compare import run_compare

        raise typer.Exit(run_compare(rate=PLAY_RATE if rate is None else rate, seconds=seconds, as_json=as_json))
    if play:
        from canaryproxy.cli.demo.show import run_demo

        raise typer.Exit(run_demo(weight=weight, rate=PLAY_RATE if rate is None else rate, seconds=seconds))
    from canaryproxy.cli.demo.story import run_story

    raise typer.Exit(run_story(rate=STORY_RATE if rate is None else rate, seconds=seconds))
