"""What is published, and what is not."""

from canaryproxy.control.table_publisher import TablePublisher
from canaryproxy.control.topology import Topology
from tests.support.plane import Traffic, config, healthy, lookup


async def test_a_table_that_says_the_same_is_not_published() -> None:
    traffic, topology = Traffic(), Topology(config(), lookup, healthy, lambda: 5.0)
    await topology.start()
    tables = TablePublisher(traffic, config(), workers=1)
    for _ in range(2):
        tables.publish(tables.compiled(topology, {}, frozenset()))
    assert [table.generation for table in traffic.tables] == [1]
    topology.config = config("7")
    tables.publish(tables.compiled(topology, {}, frozenset()))
    assert [(table.generation, table.routes[0].weight) for table in traffic.tables] == [(1, 500), (2, 700)]
    assert (tables.generation, tables.route("default"), tables.route("gone")) == (2, traffic.tables[1].routes[0], None)


async def test_certificates_that_are_there_are_not_handed_on_again() -> None:
    tables = TablePublisher(Traffic(), config(), workers=1)
    assert tables.update_certificates(config()) is False
