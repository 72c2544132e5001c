"""The shield: no user sees a canary that fails, the canary is charged with all of it, and stable is not overrun."""

import contextlib
import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import wrk
from bench.processes import end, nginx_origin, running
from bench.prove import DisprovedError
from bench.prove.site import Site

TIMEOUT = 0.3
REQUESTS = 20_000


@contextlib.contextmanager
def shielded(illness: str, shield: str, workers: int, weight: int = 10) -> Iterator[Site]:
    """A site with a well stable and a canary with an illness."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shield-")))
        folder.chmod(0o755)
        site = Site(folder, workers, "memory")
        site.config.write_text(site.config.read_text() + f"weight: {weight}\nshield: {shield}\n")
        stable, canary = site.origins["stable"], site.origins["canary"]
        stack.enter_context(running(nginx_origin(folder, stable, "stable"), port=stable))
        stack.enter_context(running([sys.executable, "-m", "bench.prove.unhealthy", str(canary), illness], port=canary))
        site.start()
        stack.callback(end, site.proxy)
        yield site


def _counted(site: Site) -> dict[str, int]:
    time.sleep(0.5)
    found = site.metrics()
    route = 'route="default"'
    answered = [int(v) for k, v in found.items() if k.startswith("canaryproxy_requests_total") and '"canary"' in k]
    return {
        "canary": sum(answered),
        "charged": int(found[f'canaryproxy_attempts_total{{outcome="error_5xx",{route},version="canary"}}']),
        "rescued": int(found[f'canaryproxy_rescues_total{{kind="shield",{route}}}']),
    }


def whole_budget() -> str:
    """A canary that fails every request, at weight 10, with a budget of 100 %."""
    with shielded("error", "{budget: 100}", 2) as site:
        done = wrk(site.port, connections=32, seconds=5)
        seen = _counted(site)
        stats = site.call("GET", "/api/v1/routes/default/stats?window=5m")[1]["versions"]["canary"]
    said = (
        f"{done.requests:,} requests, {seen['canary']:,} of them drawn for a canary that fails all: {done.errors} "
        f"failed at the client, {seen['charged']:,} charged, error rate in /stats {100 * stats['error_rate']:g} %"
    )
    if done.errors or seen["charged"] != seen["canary"] or stats["error_rate"] != 1 or not seen["canary"]:
        raise DisprovedError(said)
    return said


def default_budget() -> str:
    """With the default budget exactly what lies beyond it fails: one client, so that no request is cut at the end."""
    with shielded("error", "true", 1) as site:
        connection, failed = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10), 0
        for _ in range(REQUESTS):
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            failed += answer.status != 200
        connection.close()
        seen = _counted(site)
    allowed = seen["canary"] // 5
    said = (
        f"{REQUESTS:,} requests, {seen['canary']:,} drawn for a canary that fails all, one worker: stable answered "
        f"{seen['rescued']:,} (20 % are {allowed:,}), {failed:,} failed at the client"
    )
    if seen["rescued"] != allowed or failed != seen["canary"] - allowed or seen["charged"] != seen["canary"]:
        raise DisprovedError(said)
    return said


def hanging(times: int = 100, late: float = 0.0) -> str:
    """A canary that hangs adds no more than the shield's time, and `late` seconds that a busy machine may add."""
    with shielded("hang", f"{{timeout: {1000 * TIMEOUT:g}ms, budget: 100}}", 1, weight=50) as site:
        spent = []
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        for _ in range(times):
            began = time.perf_counter()
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            spent.append(time.perf_counter() - began)
            if answer.status != 200:
                raise DisprovedError(f"a request was answered {answer.status}")
        connection.close()
    # The split is random within a block: half of few requests is not drawn exactly.
    hung = sorted(one for one in spent if one >= TIMEOUT / 2)
    others = [one for one in spent if one < TIMEOUT / 2]
    if len(hung) < times // 5 or len(others) < times // 5:
        raise DisprovedError(f"{len(hung)} of {times} requests at weight 50 took {1000 * TIMEOUT / 2:g} ms or more")
    usual = statistics.median(others)
    said = (
        f"timeout {1000 * TIMEOUT:g} ms, {times} requests at weight 50: stable's take {1000 * usual:.1f} ms (median), "
        f"{len(hung)} drawn for the canary {1000 * (hung[0] - usual):.1f} to {1000 * (hung[-1] - usual):.1f} ms more"
    )
    if hung[-1] - usual > TIMEOUT + late:
        raise DisprovedError(said)
    return said
