"""What our code makes of an input, as plain data; and a child that answers the same questions in plain Python.

The child is another process because one process imports the hot modules either compiled or plain. A question is the
name of a function here and its arguments, one pickle each way.
"""

import dataclasses
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_network
from types import TracebackType
from typing import Any, Self

from canaryproxy import MODE
from canaryproxy.http.forwarding import HeadRewriter, write_request
from canaryproxy.http.h1.body import BodyEnd
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.model.client import Client
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Outcome, RequestRejectedError
from canaryproxy.model.goal import Goal
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.settings import Limits
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version
from canaryproxy.routing.compiled_route import CompiledRoute
from canaryproxy.routing.decide import decide as decide_one
from canaryproxy.routing.field_scan import path_of
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import BlockSplit, Splits
from canaryproxy.telemetry.record.distinct_users import DistinctUsers, UserNumbers
from canaryproxy.telemetry.record.histogram import merge, quantile, value_bucket
from canaryproxy.telemetry.record.logarithm import bucket_of
from canaryproxy.telemetry.record.recorder import Recorder
from tests.http.h1.streams import Event, bytewise, joined, pieces, seen

Cuts = Sequence[int] | None
"""Where a stream is cut; None for every byte alone."""

MOST_HALVINGS = 56
"""Samples of no more stand for a number that `len` can tell."""

FRIENDS = (ip_network("10.0.0.0/8"),)

SHOP = Route(
    "shop",
    Version("stable", (Endpoint("192.0.2.1", 1), Endpoint("192.0.2.1", 2))),
    Version("canary", (Endpoint("192.0.2.2", 1),)),
    2_500,
    ("shop.test", "*.shop.test"),
    ("/", "/cart"),
    rules=(
        Rule("tester", (Condition("header", "exact", ("yes",), "x-tester"),), "canary", 5_000, analyse=True),
        Rule(
            "cookie", (Condition("cookie", "exact", ("b",), "a"), Condition("method", "in", ("GET", "PUT"))), "canary"
        ),
        Rule("search", (Condition("query", "prefix", ("x",), "q"),), "stable"),
        Rule("agent", (Condition("header", "regex", ("cu.*",), "user-agent"),), "canary", 100),
        Rule("near", (Condition("source", "in", ("10.0.0.0/8",)), Condition("path", "prefix", ("/cart",))), "canary"),
    ),
    affinity=Affinity("cookie", "canary-id", 60),
    excluded=(Condition("header", "present", ("true",), "x-bot"),),
    goals=(Goal("bought", (Condition("path", "prefix", ("/cart",)),), header="x-value"),),
)
OPEN = Route("open", SHOP.stable, SHOP.canary, 100, paths=("/", "/api/"))
BY_HEADER = Route(
    "by-header",
    SHOP.stable,
    SHOP.canary,
    5_000,
    ("other.test",),
    affinity=Affinity("header", "x-user"),
    rules=tuple(
        Rule(f"{name}-{value}", (Condition("header", "exact", (value,), name),), "canary", 5_000, analyse=True)
        for name in (
            "x-a",
            "accept",
            "cookie",
            "x-tester",
            "x-bot",
            "x",
            "via",
            "te",
            "host",
            "x-request-id",
            "user-agent",
        )
        for value in ("1", "yes")
    ),
)
"""With rules for more names than are looked up one by one."""
INDEX = RouteIndex(RoutingTable(1, (SHOP, OPEN, BY_HEADER)))
OPEN_ENTRY = CompiledRoute(OPEN)


class Load:
    """An endpoint that is working on something."""

    def __init__(self, in_flight: int) -> None:
        self.in_flight = in_flight
        self.ejected = in_flight == 3


# Questions.


def mode() -> str:
    """Who is asked."""
    return MODE.label


def requests(data: bytes, cuts: Cuts, limits: tuple[int, int, int, int | None]) -> list[Event]:
    """Everything that a request reader makes of a stream, the refusal in full, and in what state it is left."""
    reader = RequestParser(Limits(10, *limits))
    events = _events(reader, _parts(data, cuts))
    return [*events, (reader.pending(), reader.mid_message)]


def responses(data: bytes, cuts: Cuts, methods: Sequence[bytes], *, take_rest: bool) -> list[Event]:
    """Everything that a response reader makes of a stream of answers to requests of these methods, one after
    another.
    """
    reader = ResponseParser()
    asked = iter(methods)
    reader.expect(next(asked))
    events: list[Event] = []
    try:
        for part in _parts(data, cuts):
            reader.feed(part)
            while (event := reader.next()) is not None:
                events.append(seen(event) + ((event.end,) if isinstance(event, ResponseHead) else ()))
                if take_rest and isinstance(event, ResponseHead) and (body := reader.rest()) is not None:
                    events.append(("whole", body))
                elif not isinstance(event, BodyEnd) and not (
                    isinstance(event, ResponseHead) and event.body.name == "NONE"
                ):
                    continue
                if not isinstance(event, ResponseHead) or event.status >= 200:
                    reader.expect(next(asked, b"GET"))
    except RequestRejectedError as refused:
        events.append(_reported(refused))
    return [*joined(events), (reader.pending(), reader.until_close, reader.take_all())]


def hops(data: bytes, answer: bytes, address: str, version: bytes | None, *, close: bool) -> list[Event]:
    """A request and a response as they go on. Fields that are only passed on have no order among themselves."""
    rewriter = HeadRewriter("canaryproxy-twin", 2**64 - 1)
    peer = rewriter.client_for(address, b"http", FRIENDS)
    events: list[Event] = []
    try:
        reader = RequestParser(Limits())
        reader.feed(data)
        head = reader.next()
        if not isinstance(head, RequestHead):
            return events
        for upgrade, request_id in ((b"", b""), (b"websocket", b"an-id")):
            asked = rewriter.request(head, peer, b"192.0.2.9:80", version, upgrade, request_id)
            lines = write_request(head, asked).split(b"\r\n")
            events.append((lines[:2], sorted(lines)))
        replies = ResponseParser()
        replies.expect(head.method)
        replies.feed(answer)
        while isinstance(reply := replies.next(), ResponseHead):
            for extra, body in ((b"X-Extra: 1\r\n", b""), (b"", b"hello")):
                events.append((rewriter.response(reply, head, extra, close, body),))
    except RequestRejectedError as refused:
        events.append(_reported(refused))
    return events


def decisions(streams: Sequence[bytes], address: str, seed: int) -> list[Event]:
    """Where requests go, one after the other over the same splits, and what is known of them."""
    rng = random.Random(seed)
    splits = Splits(rng.random)
    client = Client(address, b"http", FRIENDS)
    weights = {"192.0.2.1:1": Load(1), "192.0.2.1:2": Load(3), "192.0.2.2:1": Load(2)}
    answer = ResponseHead(200, b"OK")
    answer.plain = b"X-Value: 12.5\r\n"
    events: list[Event] = []
    for data in streams:
        try:
            reader = RequestParser(Limits())
            reader.feed(data)
            head = reader.next()
            if not isinstance(head, RequestHead):
                continue
            facts = RequestView(head, client)
            events.append(
                (
                    facts.path(),
                    path_of(head.target),
                    facts.header(b"x-tester"),
                    facts.values("query", b"q"),
                    facts.cookie(b"a"),
                    facts.header(b"host"),
                    facts.headers(),
                    facts.cookies(),
                    facts.query(),
                    str(facts.source()),
                    facts.secure(),
                )
            )
            decision, key, user, looked = decide_one(INDEX, head, client, splits, lambda one: _load(weights, one))
            reached = [] if decision.goals is None else decision.goals.match(head, client, answer, looked)
            document = None if key is None else (key.value, key.cookie)
            events.append((repr(decision), decision.analysed, decision.has_alternative, document, user, reached))
        except RequestRejectedError as refused:
            events.append(_reported(refused))
    return events


def buckets(seed: int, count: int) -> list[int]:
    """What a split draws."""
    split = BlockSplit(random.Random(seed).random)
    return [split.draw() for _ in range(count)]


def distinct(users: Sequence[int], others: Sequence[int], most: int, level: int) -> Event:
    """A sample of users."""
    one = DistinctUsers(most)
    for user in users:
        one.add(user)
    one.merge(others, level)
    size = len(one) if one.level < MOST_HALVINGS else None
    numbers = UserNumbers(repr(most).encode())
    return (
        [numbers.of(user) for user in users],
        size,
        one.kept,
        one.level,
        one.error,
        sorted(one.users()),
        [user in one for user in users],
        repr(one),
    )


def histogram(times: Sequence[float], q: float) -> Event:
    """Buckets, and what is read from them."""
    counts: dict[int, int] = {}
    for seconds in times:
        counts[bucket_of(seconds)] = counts.get(bucket_of(seconds), 0) + 1
    return counts, list(map(value_bucket, times)), merge(counts, counts), quantile(counts, q)


def record(exchanges: Sequence[tuple[int, int, float, float | None, int]]) -> Any:
    """What is reported of exchanges a quarter of a second apart: (outcome, status, duration, latency, user)."""
    recorder = Recorder()
    outcomes = list(Outcome)
    verdicts = OPEN_ENTRY.stable, OPEN_ENTRY.canary
    now = 1_000.0
    cells = []
    for outcome, status, duration, latency, user in exchanges:
        decision = verdicts[status % 2].decisions()[0]
        cell = recorder.start(decision, now)
        recorder.user_seen(decision, user)
        if user % 3 == 0:
            recorder.user_failed(decision, user)
        recorder.goal_reached(decision, [("bought", duration)], user)
        if user % 4:
            if user % 4 == 1:
                cell.succeed(duration)
            else:
                cell.finish(outcomes[outcome % len(outcomes)], status, duration, latency)
            cell.connected(duration)
        else:
            cells.append((cell, user % 8 == 0))
        cell.reply(status)
        recorder.refuse(status)
        now += 0.25
    return _plain(recorder.flush(1, now, cells))


QUESTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (mode, requests, responses, hops, decisions, buckets, distinct, histogram, record)
}


def _parts(data: bytes, cuts: Cuts) -> Iterable[bytes]:
    return bytewise(data) if cuts is None else pieces(data, cuts)


def _events(reader: RequestParser, parts: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    try:
        for part in parts:
            reader.feed(part)
            while (event := reader.next()) is not None:
                data = (event.upgrade, event.encoded, event.end) if isinstance(event, RequestHead) else ()
                events.append(seen(event) + data)
    except RequestRejectedError as refused:
        events.append(_reported(refused))
    return joined(events)


def _reported(refused: RequestRejectedError) -> Event:
    return ("refused", refused.failure.name, str(refused))


def _plain(report: Any) -> Any:
    """A report as plain data."""
    if dataclasses.is_dataclass(report):
        return [_plain(getattr(report, field.name)) for field in dataclasses.fields(report)]
    if isinstance(report, Mapping):
        return sorted(((_plain(key), _plain(value)) for key, value in report.items()), key=repr)
    if isinstance(report, tuple):
        return list(map(_plain, report))
    return report


def _load(loads: dict[str, Load], decision: Decision) -> Load:
    return loads["" if decision.endpoint is None else decision.endpoint.authority]


# The child.


class Plain:
    """A child that answers in plain Python."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=os.environ | {"CANARYPROXY_PLAIN": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.communicate()

    def ask(self, question: str, *args: Any, **kinds: Any) -> Any:
        """What a function here returns there."""
        if self._child.stdin is None or self._child.stdout is None:
            raise RuntimeError("the child has no pipes")
        pickle.dump((question, args, kinds), self._child.stdin)
        self._child.stdin.flush()
        return pickle.load(self._child.stdout)


def main() -> None:
    """Answer until the input ends."""
    with sys.stdin.buffer as asked, sys.stdout.buffer as data:
        while True:
            try:
                question, args, kinds = pickle.load(asked)
            except EOFError:
                return
            pickle.dump(QUESTIONS[question](*args, **kinds), data)
            data.flush()


if __name__ == "__main__":
    main()
