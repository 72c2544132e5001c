"""The cases of tests/integration/decisions.yaml, as requests and tables."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from canaryproxy.config import Config, parse
from canaryproxy.control.compile import compile_table
from canaryproxy.model.table import RoutingTable

FILE = Path(__file__).parents[1] / "integration" / "decisions.yaml"


class Case(NamedTuple):
    """One request and what becomes of it. `config` is a whole config whose versions stand on ports 1 and 2."""

    config: str
    aborted: bool
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    version: str
    reason: str

    def __str__(self) -> str:
        fields = " ".join(f"{name}:{value}" for name, value in self.fields)
        return f"{self.method} {self.target} {fields} -> {self.version} {self.reason}"

    @property
    def head(self) -> bytes:
        """The request as it is sent."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in self.fields):
            lines.append("Host: shop.test")
        lines += [f"{name}: {value}" for name, value in self.fields]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def table(self, stable: int = 1, canary: int = 2) -> RoutingTable:
        """The table of the config, with the versions on these ports."""
        config = self.read(stable, canary)
        table = compile_table(config, 1)
        return dataclasses.replace(
            table, routes=tuple(dataclasses.replace(route, aborted=self.aborted) for route in table.routes)
        )

    def read(self, stable: int = 1, canary: int = 2) -> Config:
        """The config."""
        text = self.config.replace("STABLE", str(stable)).replace("CANARY", str(canary))
        return parse(text, "decisions.yaml", {})


def cases() -> list[Case]:
    """All of them."""
    return [case for group in yaml.safe_load(FILE.read_text("utf-8")) for case in _group(group)]


def _group(group: dict[str, Any]) -> list[Case]:
    route = {
        "stable": "http://127.0.0.1:STABLE",
        "canary": "http://127.0.0.1:CANARY",
        "headers": {"add_version": True},
        **group["config"],
    }
    config = {"server": {"trusted_proxies": ["127.0.0.0/8"]}, "routes": {group.get("name", "shop"): route}}
    text = yaml.safe_dump(config, sort_keys=False)
    return [
        Case(text, group.get("aborted", False), method, target, tuple(_fields(fields)), version, reason)
        for method, target, fields, version, reason in group["cases"]
    ]


def _fields(fields: dict[str, Any]) -> list[tuple[str, str]]:
    names = {"source": "X-Forwarded-For"}
    return [
        (names.get(name, name), str(value))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
