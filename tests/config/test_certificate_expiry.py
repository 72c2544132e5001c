"""When certificates end, and what is said of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from canaryproxy.config import parse
from canaryproxy.config.certificate_expiry import CertificateUse, expiry_warnings, span
from canaryproxy.config.schema.root import Config
from canaryproxy.config.types.certificate import pem_file

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = 86_400.0


def write(folder: Path, stem: str, ends: datetime, begins: datetime | None = None) -> None:
    """A chain of a leaf that ends then and an authority that ends later."""
    leaf = trustme.CA().issue_cert(
        f"{stem}.test", not_after=ends, not_before=begins or datetime(2000, 1, 1, tzinfo=UTC)
    )
    (folder / f"{stem}.crt").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    (folder / f"{stem}.key").write_bytes(leaf.private_key_pem.bytes())


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    def make(**ends: datetime) -> Config:
        for stem in ("server", "client"):
            write(tmp_path, stem, ends.get(stem, NOW + timedelta(365)), ends.get(f"{stem}_begins"))
        authorities = [trustme.CA().issue_cert("ca.test", not_after=NOW + timedelta(days)) for days in (-1, 40)]
        (tmp_path / "ca.crt").write_bytes(b"".join(one.cert_chain_pems[0].bytes() for one in authorities))
        tls = f"{{ca: {tmp_path}/ca.crt, cert: {tmp_path}/client.crt, key: {tmp_path}/client.key}}"
        text = f"""
        server:
          listen:
            - address: ":443"
              tls: {{certs: [{{cert: {tmp_path}/server.crt, key: {tmp_path}/server.key}}], client_ca: {tmp_path}/ca.crt}}
            - address: ":80"
        routes:
          shop:
            stable: https://a
            canary: {{url: "https://b", tls: {tls}}}
            analysis:
              resources: [{{name: r, counter: c, port: 1, tls: {tls}}}]
              checks: [{{name: a, url: "http://q", max: 1}}, {{name: c, url: "https://q", max: 1, tls: {tls}}}]
            rollout:
              hooks: [{{name: h, when: end, url: "https://h", tls: {tls}}}]
              notify: {{url: "https://n", tls: {tls}}}
        """
        return parse(text, "f", {})

    return make


def said(config: Config, now: datetime = NOW) -> list[str]:
    return [
        f"{one.over} {one.words}"
        for one in expiry_warnings(config.certificates, now.timestamp())
        if one.held.role == "server"
    ]


def test_every_file_with_certificates_has_its_place_and_role(config: Callable[..., Config]) -> None:
    assert [(one.role, one.place, Path(one.file).name) for one in config().certificates] == [
        ("server", "server.listen[0].tls.certs[0].cert", "server.crt"),
        ("client_ca", "server.listen[0].tls.client_ca", "ca.crt"),
        *(
            (role, f"routes.shop.{place}.tls.{key}", name)
            for place in ("canary", "analysis.resources[0]", "analysis.checks[1]", "rollout.hooks[0]", "rollout.notify")
            for role, key, name in (("ca", "ca", "ca.crt"), ("client", "cert", "client.crt"))
        ),
    ]


def test_a_chain_ends_with_its_first_and_authorities_with_their_last(config: Callable[..., Config]) -> None:
    by_role: dict[str, CertificateUse] = {one.role: one for one in config(server=NOW + timedelta(3)).certificates}
    assert by_role["server"].ends == (NOW + timedelta(3)).timestamp()
    assert by_role["ca"].ends == by_role["client_ca"].ends == (NOW + timedelta(40)).timestamp()


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=31), []),
        (
            timedelta(days=29, hours=12),
            ["False server.listen[0].tls.certs[0].cert: {} expires on 2030-01-30, in 29 days"],
        ),
        (timedelta(days=1, hours=1), ["False server.listen[0].tls.certs[0].cert: {} expires on 2030-01-02, in 1 day"]),
        (
            timedelta(hours=1),
            ["False server.listen[0].tls.certs[0].cert: {} expires on 2030-01-01, in less than a day"],
        ),
        (timedelta(0), ["True server.listen[0].tls.certs[0].cert: {} expired on 2030-01-01"]),
        (timedelta(days=-400), ["True server.listen[0].tls.certs[0].cert: {} expired on 2028-11-27"]),
    ],
)
def test_the_end_is_spoken_of_thirty_days_before(
    left: timedelta, words: list[str], config: Callable[..., Config], tmp_path: Path
) -> None:
    assert said(config(server=NOW + left)) == [one.format(tmp_path / "server.crt") for one in words]


def test_one_that_does_not_hold_yet_is_spoken_of(config: Callable[..., Config], tmp_path: Path) -> None:
    (words,) = said(config(server_begins=NOW + timedelta(2)))
    assert words == f"True server.listen[0].tls.certs[0].cert: {tmp_path}/server.crt is not valid before 2030-01-03"


def test_check_shows_it(config: Callable[..., Config]) -> None:
    assert any(
        "server.crt expired on 2001-01-01" in one for one in config(server=datetime(2001, 1, 1, tzinfo=UTC)).warnings
    )


def test_a_renewed_file_has_another_end(tmp_path: Path) -> None:
    ends = []
    for days in (10, 20):
        write(tmp_path, "server", NOW + timedelta(days))
        ends.append(span(pem_file(str(tmp_path / "server.crt")))[1])
    assert ends[1] - ends[0] == 10 * DAY
