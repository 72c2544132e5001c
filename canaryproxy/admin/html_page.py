"""The human page: the OpenAPI document as HTML, without script and without anything from elsewhere. Pure."""

import html
import json
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { font-size: 1.05rem; margin: 2rem 0 .2rem } code, pre { font-family: ui-monospace, monospace; font-size: .9em }
b { display: inline-block; min-width: 4.5rem } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto }
td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top } details { margin: .3rem 0 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } pre { background: #242424 } }
"""


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    info = document["info"]
    calls = [
        _call(method, path, data) for path, methods in document["paths"].items() for method, data in methods.items()
    ]
    schemas = [
        f"<details><summary><code>{_text(name)}</code></summary>"
        f"<pre>{_text(json.dumps(schema, indent=2))}</pre></details>"
        for name, schema in document["components"]["schemas"].items()
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(info['title'])}</title>"
        f"<style>{STYLE}</style><h1>{_text(info['title'])} {_text(info['version'])}</h1>"
        f"<p>{_text(info['description'])} Machines read <a href=/openapi.json>/openapi.json</a>.</p>"
        f"{''.join(calls)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def _call(method: str, path: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(status)}</code><td>{_text(response['description'])}"
        for status, response in schema["responses"].items()
    )
    return (
        f"<h2><b>{method.upper()}</b> <code>{_text(path)}</code></h2>{_text(schema['summary'])}."
        f"<details><summary>Answers</summary><table>{rows}</table></details>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))
