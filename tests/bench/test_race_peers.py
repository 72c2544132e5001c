"""Every peer accepts the configuration that we write for it, in clear and over TLS."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.ports import free_port
from bench.processes import found
from bench.race.peers import CADDY, ENVOY, HAPROXY, NGINX, OURS, Command, Peer, Place, ours
from bench.race.track import Cost, certify, cost

INSTALLED_APART = [pytest.param(peer, id=peer.name) for peer in (ENVOY, CADDY) if found(peer.name.lower())]
ALL = [
    pytest.param(OURS, id="canaryproxy"), pytest.param(HAPROXY, marks=pytest.mark.needs("haproxy"), id="HAProxy"),
    pytest.param(NGINX, marks=pytest.mark.needs("nginx"), id="nginx"), *INSTALLED_APART,
]  # fmt: skip


def place(folder: Path, *, tls: bool) -> Place:
    return Place(folder, free_port(), free_port(), free_port(), certify(folder) if tls else None)


def accepted(command: Command) -> None:
    done = subprocess.run(
        command.check,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **command.environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("peer", ALL)
def test_the_configuration_is_accepted(peer: Peer, tls: bool, tmp_path: Path) -> None:
    accepted(peer.command(place(tmp_path, tls=tls)))


def test_many_rules_and_routes_are_accepted(tmp_path: Path) -> None:
    accepted(ours.command(place(tmp_path, tls=False), rules=30, routes=20))
    document = yaml.safe_load((tmp_path / "canaryproxy.yaml").read_text())
    assert len(document["routes"]) == 20
    assert all(len(route["rules"]) == 30 and route["goals"] for route in document["routes"].values())


def test_what_is_not_the_busiest_process_is_aside() -> None:
    assert cost({1: 1.0, 2: 5.0}, {1: 1.5, 2: 9.0, 3: 0.25}) == Cost(seconds=4.75, aside=0.75)
