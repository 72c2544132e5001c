"""`canaryproxy demo`: two sample services, the proxy before them, traffic, and live figures."""

from typing import Annotated

import typer


def demo(
    weight: Annotated[float, typer.Option(min=0, max=100, help="Percentage of requests for the canary.")] = 10,
    rate: Annotated[float, typer.Option(min=1, max=500, help="Requests per second.")] = 40,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds; else at Ctrl-C.")] = None,
    *,
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside nine replicas and a canary behind a round-robin, for 30 s.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --compare: the outcome as JSON.")] = False,
) -> None:
    """See a canary at work: no config, no network, nothing to install.

    Starts a stable and a canary sample shop, the proxy in front of them and a gentle stream of traffic, all
    in this process. Prints curl lines that work, then live figures per version. Edit the config file it
    names and watch the split follow.
    """
    if compare:
        from canaryproxy.cli.demo.compare import run_compare

        raise typer.Exit(run_compare(rate=rate, seconds=seconds, as_json=as_json))
    from canaryproxy.cli.demo.show import run_demo

    raise typer.Exit(run_demo(weight=weight, rate=rate, seconds=seconds))
