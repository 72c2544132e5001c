"""`canaryproxy demo`: two sample services, the proxy before them, traffic, and live figures."""

from typing import Annotated

import typer

PLAY_RATE, STORY_RATE = 40.0, 200.0
"""Requests a second."""


def demo(
    weight: Annotated[
        float, typer.Option(min=0, max=100, help="With --play: percentage of requests for the canary.")
    ] = 10,
    rate: Annotated[float | None, typer.Option(min=1, max=500, help="Requests per second.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds.")] = None,
    *,
    play: Annotated[
        bool, typer.Option("--play", help="Two shops with live figures to try things on, until Ctrl-C.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside nine replicas and a canary behind a round-robin, for 30 s.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --compare: the outcome as JSON.")] = False,
) -> None:
    """See canaries at work: no config, no network, nothing to install.

    Starts two versions of a sample shop, the proxy in front of them and visitors, all in this process, and tells a
    story: a good canary is raised to 100 %; one that fails, one that is slow and one that sells less are not, each for
    a reason that is said.
    """
    if compare:
        from canaryproxy.cli.demo.compare import run_compare

        raise typer.Exit(run_compare(rate=PLAY_RATE if rate is None else rate, seconds=seconds, as_json=as_json))
    if play:
        from canaryproxy.cli.demo.show import run_demo

        raise typer.Exit(run_demo(weight=weight, rate=PLAY_RATE if rate is None else rate, seconds=seconds))
    from canaryproxy.cli.demo.story import run_story

    raise typer.Exit(run_story(rate=STORY_RATE if rate is None else rate, seconds=seconds))
