"""The human page."""

from canaryproxy.admin.html_page import page
from canaryproxy.admin.openapi import document


def test_it_names_every_call_and_runs_nothing() -> None:
    told = document(guarded=True)
    html = page(told)
    assert all(f"<code>{path}</code>" in html for path in told["paths"])
    assert "<script" not in html


def test_text_is_escaped() -> None:
    told = document(guarded=True)
    told["info"]["title"] = "<b>&"
    assert "<b>&" not in page(told)
