"""Webhooks of rollouts: gates, which can hold a rollout, and notifications, in documents compatible with Flagger's."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from canaryproxy.config.schema.hooks import HookConfig, NotifyConfig, OutboundCallConfig, When
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.control.events import rollout_fields
from canaryproxy.control.results import RolloutResult
from canaryproxy.model.document import Document
from canaryproxy.probes.failing_dependencies import FailingDependencies, Key
from canaryproxy.probes.failure_reasons import answered
from canaryproxy.probes.http_client import Call, CallFailedError, ContextOf, called, first_words
from canaryproxy.probes.redaction import site
from canaryproxy.rollout.state import Notice, Phase, Rollout

log = logging.getLogger("canaryproxy")

# (hook, document) -> why the request failed or was refused; empty where it was accepted.
Post = Callable[[OutboundCallConfig, Mapping[str, Any]], Awaitable[str]]

# Seconds before a closed gate is asked again.
RETRY_SECONDS = 10.0

# Seconds before the first retry of a call, doubled for each further one, up to a minute.
PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0

SEVERITY_ORDER = {"info": 0, "warning": 1, "critical": 2}
COLOURS = {"info": "#2eb67d", "warning": "#ecb22e", "critical": "#e01e5a"}

# Flagger's names of the phases.
FLAGGER: dict[Phase, str] = {
    "idle": "Initialized",
    "progressing": "Progressing",
    "paused": "Waiting",
    "baking": "Promoting",
    "succeeded": "Succeeded",
    "rolled_back": "Failed",
}

# Route, moment, and when the step began.
Moment = tuple[str, When, float]


class Hooks:
    """The calls in progress, and the latest answers of gates. `clock` is a monotonic clock."""

    def __init__(self, post: Post, clock: Callable[[], float], failures: FailingDependencies) -> None:
        self._post = post
        self._failures = failures
        self._clock = clock
        self._answers: dict[Moment, tuple[float, str]] = {}
        self._asking: dict[Moment, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[str]] = set()

    def __repr__(self) -> str:
        return f"<Hooks: {len(self._asking)} asked, {len(self._telling)} notified>"

    async def ask(self, route: str, hooks: Sequence[HookConfig], at: When, rollout: Rollout) -> str:
        """Ask all gates of a moment; why the first one refuses, empty where all agree."""
        for hook in (one for one in hooks if one.when == at):
            refusal = await self._call(route, hook, document(route, rollout, hook))
            if refusal:
                return f"gate {hook.name}: {refusal}"
        return ""

    def gate(self, route: str, hooks: Sequence[HookConfig], at: When, rollout: Rollout) -> str | None:
        """The latest answer of the gates: empty where they agree, None while unknown. Asked in the background."""
        if not any(one.when == at for one in hooks):
            return ""
        moment = (route, at, rollout.step_since)
        asked, answer = self._answers.get(moment, (0.0, None))
        if (answer is None or (answer and self._clock() - asked >= RETRY_SECONDS)) and moment not in self._asking:
            self._forget(moment)
            self._asking[moment] = asyncio.get_running_loop().create_task(self._find_out(moment, hooks, rollout))
        return answer

    def _forget(self, moment: Moment) -> None:
        """Keep only the answers for the current step of the route."""
        for old in [one for one in self._answers if one[0] == moment[0] and one[2] != moment[2]]:
            del self._answers[old]

    async def _find_out(self, moment: Moment, hooks: Sequence[HookConfig], rollout: Rollout) -> None:
        route, at, _ = moment
        try:
            answer = await self.ask(route, hooks, at, rollout)
        except Exception:
            log.exception("%s: internal error while asking a gate", route)
            answer = "internal error while asking a gate; see the log"
        self._answers[moment] = (self._clock(), answer)
        del self._asking[moment]

    def notify(self, route: str, config: RolloutConfig, done: RolloutResult, at: float, *, turned: bool) -> None:
        """Call all hooks of an event in the background; those of an end once, when the phase has `turned`."""
        rollout, notify = done.rollout, config.notify
        for one in done.notice:
            for hook in config.hooks:
                ended = turned and hook.when == ENDS.get(rollout.phase) and one is done.notice[-1]
                if hook.when == "event" or ended:
                    self._send(route, hook, document(route, rollout, hook, one, at))
            if notify is not None and SEVERITY_ORDER[one.severity] >= SEVERITY_ORDER[notify.min_severity]:
                self._send(route, notify, notice(route, rollout, notify, one, at))

    def _send(self, route: str, whom: HookConfig | NotifyConfig, what: Mapping[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._call(route, whom, what))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _call(self, route: str, whom: HookConfig | NotifyConfig, what: Mapping[str, Any]) -> str:
        """Call a hook, with retries; why it failed or refused."""
        pause, refusal = PAUSE_SECONDS, ""
        for attempt in range(whom.retries + 1):
            if attempt:
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            refusal = await self._post(whom, what)
            # 4xx is a decision of the receiver, not an outage: no retry.
            if not refusal or refusal.startswith("HTTP status 4"):
                break
        self._note(route, whom, refusal)
        return refusal

    def _note(self, route: str, whom: HookConfig | NotifyConfig, refusal: str) -> None:
        """Keep and log whether the hook answers."""
        key: Key = (route, "hook", whom.name) if isinstance(whom, HookConfig) else (route, "notify", "notify")
        if not refusal and self._failures.good(key):
            log.info("%s: webhook %s at %s works again", route, key[2], site(whom.url))
        elif refusal and self._failures.bad(key, refusal):
            log.warning("%s: webhook %s at %s failed: %s", route, key[2], site(whom.url), refusal)

    def stop(self) -> None:
        """Cancel all calls."""
        for task in (*self._asking.values(), *self._telling):
            task.cancel()


ENDS: dict[Phase, When] = {"succeeded": "end", "rolled_back": "rollback"}


def document(route: str, rollout: Rollout, hook: HookConfig, event: Notice | None = None, at: float = 0.0) -> Document:
    """The document for a hook."""
    metadata = dict(hook.metadata)
    if event is not None:
        kind = "Normal" if event.severity == "info" else "Warning"
        metadata |= {"eventMessage": event.words, "eventType": kind, "timestamp": str(int(1000 * at))}
    described = {"name": route, "namespace": "", "metadata": metadata, "hook": hook.name, "when": hook.when}
    return {**described, **rollout_fields(rollout), "phase": FLAGGER[rollout.phase]}


def notice(route: str, rollout: Rollout, notify: NotifyConfig, event: Notice, at: float) -> Document:
    """The document for a chat or a pager."""
    if notify.style == "slack":
        text = unformatted(f"{route}: {event.words}")
        below = {"color": COLOURS[event.severity], "text": unformatted(caption(rollout)), "ts": int(at)}
        return {"text": text, "attachments": [below]}
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = {"at": when, "route": route, "severity": event.severity, "sentence": event.words}
    return {**shown, **rollout_fields(rollout)}


def caption(rollout: Rollout) -> str:
    """The phase and the identity of a rollout."""
    mine = rollout.identity
    if not mine.id:
        return rollout.phase
    beside = f" beside {mine.stable}" if mine.canary and mine.stable else ""
    return f"{rollout.phase}, {mine}{beside}"


def unformatted(text: str) -> str:
    """Escape a text for Slack ("Escaping text"): remote services must not add links or mention users."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def over_http(context_of: ContextOf) -> Post:
    """POST a document; why the status was not 2xx, empty where it was."""

    async def post(whom: OutboundCallConfig, what: Mapping[str, Any]) -> str:
        headers = {"content-type": "application/json", "user-agent": "canaryproxy-hook"}
        call = Call.configured(whom.url, whom, headers, context_of)
        try:
            async with called("POST", call, data=json.dumps(what)) as response:
                words = await first_words(response, call)
                return "" if 200 <= response.status < 300 else f"{answered(response.status)}{words}"
        except CallFailedError as error:
            return str(error)

    return post
