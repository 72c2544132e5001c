"""The document agrees with the router, and holds what is built and nothing else."""

from canaryproxy.admin.app import admin_application
from canaryproxy.admin.openapi import document, html_page
from tests.support.admin import Api


async def test_every_call_of_the_router_is_described_and_the_other_way_round() -> None:
    api = Api()
    app = admin_application(api.knowledge, api.gate)
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    data = {(method.upper(), path) for path, methods in document(guarded=True)["paths"].items() for method in methods}
    assert routed - data == {("GET", "/openapi.json"), ("GET", "/docs")}
    assert data <= routed


def test_the_verbs_of_a_rollout_need_no_body() -> None:
    paths = document(guarded=True)["paths"]
    verbs = {
        path.rpartition("/")[2]: data["post"] for path, data in paths.items() if "/rollout/" in path and "post" in data
    }
    assert verbs.keys() == {"start", "pause", "resume", "promote", "abort", "retry", "reset"}
    assert not any(data["requestBody"]["required"] for data in verbs.values())


def test_every_reference_leads_somewhere() -> None:
    data = document(guarded=True)
    text = str(data)
    names = {part.partition("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= data["components"]["schemas"].keys()
    operations = [one for methods in data["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)


def test_it_names_every_call_and_runs_nothing() -> None:
    data = document(guarded=True)
    html = html_page(data)
    assert all(f"<code>{path}</code>" in html for path in data["paths"])
    assert "<script" not in html


def test_text_is_escaped() -> None:
    data = document(guarded=True)
    data["info"]["title"] = "<b>&"
    assert "<b>&" not in html_page(data)
