"""Names: looked up again and again, and never forgotten. H62."""

import asyncio
import logging

import pytest

from canaryproxy.probes.failing_dependencies import FailingDependencies
from canaryproxy.probes.resolve import Resolver, system_lookup


class Names:
    """A scripted name server."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.changes = 0

    async def lookup(self, name: str) -> tuple[str, ...]:
        if name not in self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers[name]

    def changed(self) -> None:
        self.changes += 1

    def resolver(self, *names: str, period: float = 0.01) -> Resolver:
        return Resolver(self.lookup, lambda: frozenset(names), self.changed, FailingDependencies(lambda: 5.0), period)


async def test_an_answer_is_kept_sorted_and_a_change_is_reported() -> None:
    server = Names(shop=("10.0.0.2", "10.0.0.1"))
    resolver = server.resolver("shop")
    assert await resolver.resolve(frozenset(("shop",)))
    assert resolver.answers == {"shop": ("10.0.0.1", "10.0.0.2")}
    server.answers["shop"] = ("10.0.0.1", "10.0.0.2")
    assert not await resolver.resolve(frozenset(("shop",)))


@pytest.mark.parametrize("lost", ["gone", "empty"])
async def test_the_last_good_answer_is_kept_and_said_once(lost: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    server = Names(shop=("10.0.0.1",))
    resolver = server.resolver("shop")
    await resolver.resolve(frozenset(("shop",)))
    if lost == "gone":
        del server.answers["shop"]
    else:
        server.answers["shop"] = ()
    for _ in range(3):
        assert not await resolver.resolve(frozenset(("shop",)))
    assert resolver.answers == {"shop": ("10.0.0.1",)}
    assert caplog.text.count("its last addresses stay in use") == 1
    server.answers["shop"] = ("10.0.0.2",)
    assert await resolver.resolve(frozenset(("shop",)))


async def test_a_name_that_never_meant_anything_has_no_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Names().resolver("nope")
    assert not await resolver.resolve(frozenset(("nope",)))
    await resolver.resolve(frozenset(("nope",)))
    assert caplog.text.count("it has no endpoint until it does") == 1
    failing = resolver.failures.of("nope")[0]
    assert (failing.since, failing.row) == (5.0, 2)
    assert "Name or service not known" in failing.reason


async def test_a_name_that_is_known_again_fails_no_more(caplog: pytest.LogCaptureFixture) -> None:
    server = Names()
    resolver = server.resolver("shop")
    await resolver.resolve(frozenset(("shop",)))
    server.answers["shop"] = ("10.0.0.2",)
    with caplog.at_level(logging.INFO):
        await resolver.resolve(frozenset(("shop",)))
    assert not resolver.failures.of("shop")
    assert "shop can be resolved again" in caplog.text


async def test_it_looks_again_by_itself_and_forgets_what_is_no_longer_asked_for() -> None:
    server = Names(shop=("10.0.0.1",), old=("10.0.0.9",))
    resolver = server.resolver("shop")
    await resolver.resolve(frozenset(("shop", "old")))
    running = asyncio.ensure_future(resolver.run())
    server.answers["shop"] = ("10.0.0.2",)
    while not server.changes:
        await asyncio.sleep(0.005)
    assert resolver.answers == {"shop": ("10.0.0.2",)}
    running.cancel()


async def test_the_system_knows_this_machine() -> None:
    (address, *_) = await system_lookup("localhost")
    assert address in ("127.0.0.1", "::1")
