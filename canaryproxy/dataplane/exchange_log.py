"""What the access log says of one exchange."""

from canaryproxy.dataplane.attempt import Attempt
from canaryproxy.dataplane.deadlines import Deadlines
from canaryproxy.dataplane.failover import FailoverPlan
from canaryproxy.http.forwarding import ForwardedClient, request_id_of
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Outcome
from canaryproxy.model.head import RequestHead
from canaryproxy.telemetry.record.access_log import AccessLogEntry, client_fields

SWITCHING = 101


def entry_of(
    wall_clock: float,
    now: float,
    request: RequestHead,
    peer: ForwardedClient,
    decision: Decision,
    attempt: Attempt,
    deadlines: Deadlines,
    plan: FailoverPlan | None,
    outcome: Outcome,
    status: int,
    latency: float | None,
    received: int,
    sent: int,
    id_line: bytes,
) -> AccessLogEntry:
    """The line for an exchange that ends at `wall_clock`, which is `now` on the clock of its deadlines. It is of the
    version that was decided on, and the outcome is what that is charged with.
    """
    duration = now - deadlines.started
    takeover = "" if plan is None else plan.takeover
    states = {"retry": attempt.number > 1, takeover: bool(takeover), "tunnel": status == SWITCHING}
    client, scheme = client_fields(peer, request)
    endpoint = attempt.target.endpoint
    return AccessLogEntry(
        wall_clock - duration,
        client,
        peer.address,
        request.method,
        request.host or b"",
        request.target,
        request.version,
        scheme,
        status,
        decision.route.name,
        decision.version.name,
        decision.reason,
        endpoint="" if endpoint is None else endpoint.authority,
        attempts=attempt.number,
        duration=duration,
        upstream=latency if plan is None else None,
        connect=deadlines.opening,
        received=received,
        sent=sent,
        outcome=outcome if plan is None or plan.charged is None else plan.charged,
        flags=tuple([flag for flag, holds in states.items() if holds]),
        request_id=request_id_of(id_line),
    )
