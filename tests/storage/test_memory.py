"""The store that forgets."""

from canaryproxy.control.state import Audit
from canaryproxy.storage.memory import MemoryStore


def test_it_keeps_no_state_and_the_history_of_this_process() -> None:
    store = MemoryStore()
    audits = [Audit(float(n), "ci", "write", "::1", "weight", route, "", "kept", n) for n, route in enumerate("aba")]
    store.save({}, audits)
    assert store.load() is None
    assert [audit.at for audit in store.history("a", 10)] == [2.0, 0.0]
    assert len(store.history("a", 1)) == 1
    store.close()
