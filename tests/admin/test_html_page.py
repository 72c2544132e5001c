"""The human page."""

from canaryproxy.admin.html_page import page
from canaryproxy.admin.openapi import document


def test_it_names_every_call_and_runs_nothing() -> None:
    data = document(guarded=True)
    html = page(data)
    assert all(f"<code>{path}</code>" in html for path in data["paths"])
    assert "<script" not in html


def test_text_is_escaped() -> None:
    data = document(guarded=True)
    data["info"]["title"] = "<b>&"
    assert "<b>&" not in page(data)
