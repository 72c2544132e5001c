"""Who asks. What a client's connection makes of it: test_downstream.py."""

from collections.abc import Callable

import pytest

from canaryproxy.proxy.caller import Caller
from canaryproxy.proxy.downstream import Downstream

ASKED: dict[str, Callable[[Caller], object]] = {
    "block": lambda caller: caller.block(),
    "unblock": lambda caller: caller.unblock(),
    "rearm": lambda caller: caller.rearm(),
    "leave": lambda caller: caller.leave(),
    "finished": lambda caller: caller.finished(True),
    "cut": lambda caller: caller.cut(True),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_caller_is_to_say_what_it_does(what: str) -> None:
    with pytest.raises(NotImplementedError):
        ASKED[what](Caller())


def test_a_clients_connection_says_it_all() -> None:
    assert issubclass(Downstream, Caller)
    for what in ASKED:
        assert getattr(Downstream, what) is not getattr(Caller, what)
