"""One rendering for every form: the same samples, and exactly what prometheus-client writes."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest as classic_text
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from canaryproxy.telemetry.read import exposition
from canaryproxy.telemetry.read.exposition import (
    OPENMETRICS,
    OPENMETRICS_1,
    SLICE,
    TEXT,
    TEXT_1,
    Exposition,
    ExpositionFormat,
    ExpositionPiece,
    negotiate,
    render,
)
from canaryproxy.telemetry.read.metrics import ROUTE_FAMILIES, InstanceFacts, instance_families
from tests.telemetry.read.test_metrics import facts

FORMS = (TEXT, TEXT_1, OPENMETRICS, OPENMETRICS_1)


class All:
    """A registry of everything."""

    def __init__(self, said: InstanceFacts) -> None:
        self._said = said

    def collect(self) -> Iterator[Metric]:
        yield from instance_families(self._said)
        for make in ROUTE_FAMILIES:
            yield make(self._said, self._said.routes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("routes", [0, 1, 3 * SLICE + 1])
def test_it_is_byte_for_byte_what_prometheus_client_writes(form: ExpositionFormat, routes: int) -> None:
    said = facts(routes)
    made = Exposition(tuple(render(said)))
    expected = (classic_text if form.kind == "text" else openmetrics_text)(All(said))
    assert b"".join(made.blocks(form)) == expected
    assert made.length(form) == len(expected)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT_1),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; escaping=dots", OPENMETRICS_1),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", TEXT),
        ("application/openmetrics-text;version=9.9.9\r\nx", TEXT),
        ("application/openmetrics-text;version=abc", TEXT),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("APPLICATION/OPENMETRICS-TEXT ; Version=1.0.0 ; q=0.5", OPENMETRICS_1),
        # Prometheus 3
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
            "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
            "*/*;q=0.2",
            OPENMETRICS_1,
        ),
    ],
)
def test_a_client_gets_the_first_form_that_we_know(accept: str, form: ExpositionFormat) -> None:
    assert negotiate(accept) == form


@given(st.text())
def test_whatever_a_client_asks_for_there_are_four_forms(accept: str) -> None:
    assert negotiate(accept) in FORMS
    assert negotiate(f"application/openmetrics-text;version={accept}") in FORMS


def test_blocks_are_worth_a_system_call_and_what_is_large_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "BLOCK", 100)
    large = b"x" * 1000
    made = Exposition(
        (ExpositionPiece(b"a", b"b", b"c" * 50), ExpositionPiece(b"", b"", b"d" * 60), ExpositionPiece(b"", b"", large))
    )
    blocks = list(made.blocks(OPENMETRICS))
    assert blocks == [b"b" + b"c" * 50 + b"d" * 60, large]
    assert blocks[1] is large
    assert b"".join(made.blocks(TEXT)) == b"a" + b"c" * 50 + b"d" * 60 + large
