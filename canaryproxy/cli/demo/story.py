"""The guided demo: four rollouts, three of which fail, with times and reasons."""

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import runner
from canaryproxy.cli import output
from canaryproxy.cli.demo.shop import CANARY, STABLE, STAND, ShopVersion, Stand, start_shop
from canaryproxy.cli.demo.traffic import in_background, stop_event, visitors
from canaryproxy.config import load
from canaryproxy.control.route_states import Actor
from canaryproxy.processes.listen import display

ROUTE = "shop"
ACTOR = Actor("demo", "write")
SEED = 7
# Time limit of a chapter.
TIMEOUT_SECONDS = 180.0

# Traffic before the first chapter, as a baseline of stable.
QUIET_SECONDS = 4.0

PROFILE = "rollout: {steps: [5, 25, 50, 100], every: 6s, bake: 6s}, analysis: {warmup: 1s, min_requests: 40}"

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: {{listen: "127.0.0.1:0"}}, state: memory, workers: 1, log: {{level: error}}}}
routes:
  shop:
    stable: http://127.0.0.1:{stable}
    canary: http://127.0.0.1:{canary}
    affinity: cookie
    goals: [{{name: cart, method: POST, path: /cart}}]
    {profile}
"""


GOOD = replace(CANARY, errors=0.0005)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A canary. `held`: start of the reason for which it is neither rolled back nor raised."""

    title: str
    version: ShopVersion
    held: str = ""


CHAPTERS = (
    Chapter("A good canary", GOOD),
    Chapter("A canary that fails 3 % of its requests", replace(GOOD, errors=0.03)),
    Chapter("A canary that is twice as slow", replace(GOOD, delay=2.2 * STABLE.delay)),
    Chapter("A canary that sells half as much", replace(GOOD, tempting=0.45), held="cart:"),
)


def run_story(*, rate: float, seconds: float | None) -> int:
    """Run all chapters, or as many as fit into `seconds`. Returns the exit code."""
    with runner() as running, tempfile.TemporaryDirectory(prefix="canaryproxy-demo-") as folder:
        return running.run(_run(Path(folder) / "story.yaml", rate, seconds))


async def _run(path: Path, rate: float, seconds: float | None) -> int:
    console, ended, loop = output.console(), stop_event(), asyncio.get_running_loop()
    async with _stage(path, rate) as (instance, stand):
        story = loop.create_task(_run_chapters(console, instance, stand))
        waiting = loop.create_task(ended.wait())
        await asyncio.wait((story, waiting), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        complete = story.done()
        for task in (story, waiting):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await story
    if complete:
        console.print("\nThe end. `canaryproxy demo --play` runs two shops for experiments.", highlight=False)
    return 0


@contextlib.asynccontextmanager
async def _stage(path: Path, rate: float) -> AsyncIterator[tuple[Instance, Stand]]:
    """Two shops, the proxy, and visitors."""
    async with contextlib.AsyncExitStack() as stack:
        _, stable_port = await start_shop(stack, replace(STABLE, errors=0.0005), random.Random(SEED))
        canary, canary_port = await start_shop(stack, GOOD, random.Random(SEED + 1))
        profile = PROFILE.replace(", analysis", "\n    analysis")
        text = CONFIG.format(stable=stable_port, canary=canary_port, profile=profile)
        await asyncio.to_thread(path.write_text, text, "utf-8")
        instance = Instance(load(path, os.environ), path=path)
        await instance.start()
        stack.push_async_callback(instance.stop)
        base = f"http://{display(instance.addresses[0])}"
        async with in_background(visitors(base, rate, random.Random(SEED + 2))):
            yield instance, canary[STAND]


async def _run_chapters(console: Console, instance: Instance, stand: Stand) -> None:
    admin = "" if instance.admin_address is None else f" --admin http://{display(instance.admin_address)}"
    console.print(
        "Visitors, canaryproxy, and two versions of a small shop. Steps and warm-up are shorter than the defaults:\n"
        f"{PROFILE}\nWatch with `canaryproxy status --watch{admin}`.\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    await asyncio.sleep(QUIET_SECONDS)
    for number, chapter in enumerate(CHAPTERS, 1):
        console.print(f"{number}. {chapter.title}", style="bold", highlight=False)
        stand.version = chapter.version
        await instance.plane.rollouts.do(ROUTE, "start", ACTOR)
        result = await _follow(console, instance, chapter)
        console.print(f"   {result}\n", highlight=False, markup=False, soft_wrap=True)
        if instance.plane.rollouts.of(ROUTE).phase not in ("succeeded", "rolled_back"):
            await instance.plane.rollouts.do(ROUTE, "abort", ACTOR)
        await instance.plane.rollouts.do(ROUTE, "reset", ACTOR)


async def _follow(console: Console, instance: Instance, chapter: Chapter) -> str:
    """Wait for the end of the rollout. Returns the result and its reason."""
    clock = asyncio.get_running_loop().time
    begin, weight = clock(), -1
    while clock() - begin < TIMEOUT_SECONDS:
        now = instance.plane.rollouts.of(ROUTE)
        reason = instance.plane.judges.analysis(ROUTE, clock()).reason
        if now.weight != weight and now.weight:
            weight = now.weight
            console.print(f"   {clock() - begin:5.1f} s  {weight / 100:g} %", highlight=False)
        if now.phase in ("succeeded", "rolled_back", "paused"):
            return f"{clock() - begin:5.1f} s  {now.phase}: {now.why}"
        if chapter.held and reason.startswith(chapter.held):
            return f"{clock() - begin:5.1f} s  held at {weight / 100:g} %: {reason}"
        await asyncio.sleep(0.1)
    return f"no result after {TIMEOUT_SECONDS:.0f} s: {instance.plane.judges.analysis(ROUTE, clock()).reason}"
