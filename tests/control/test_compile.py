"""Config to table: what was written is what the data plane gets."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config import from_flags, parse
from canaryproxy.config.types.quantity import percent_text
from canaryproxy.control.compile import compile_table, listen_addresses, plane_settings, worker_config
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from canaryproxy.model.table import Affinity, Caching, Endpoint, Route, RoutingTable, Version

FULL = """
server:
  listen: [{address: ":8080"}, {address: "[::1]:8081"}]
  trusted_proxies: [10.0.0.0/8, "::1"]
  forwarded: rfc7239
  forwarded_allowed: [X-Forwarded-Prefix]
  limits: {max_connections: 1, header_bytes: 2KiB, headers: 3, uri_bytes: 1KiB, body_bytes: 5, connections_per_address: 7,
    handshakes: 6}
  timeouts: {header: 1s, keep_alive: 2s, body_idle: 3s, half_close: 4s, drain: 5s, tunnel_idle: 6s, abort_drain: 7s}
routes:
  shop:
    hosts: [Shop.example.com., "*.shop.example.com"]
    paths: [/cart/, /checkout]
    stable: {url: "http://a:81", connect_timeout: 1s, response_timeout: 2s, keep_alive: 3s}
    canary: {url: "http://[::1]:82", connect_timeout: 4s, response_timeout: 5s, keep_alive: 6s}
    weight: 12.34
    headers: {add_version: true, shared_cookie: true, shared_vary_cookie: true}
    affinity: {cookie: __Host-c, max_age: 1m, same_site: none, secure: true, partitioned: true, salt: app}
    upgrades: [SPDY/3.1]
  blog: {stable: http://b, canary: http://c}
"""


def test_every_key_arrives_in_the_table() -> None:
    shop = Route(
        name="shop",
        stable=Version("stable", (Endpoint("10.0.0.1", 81, "a"),), 1.0, 2.0, 3.0),
        canary=Version("canary", (Endpoint("::1", 82),), 4.0, 5.0, 6.0),
        weight=1234,
        hosts=("shop.example.com", "*.shop.example.com"),
        paths=("/cart", "/checkout"),
        add_version=True,
        affinity=Affinity("cookie", "__Host-c", 60, "None", "", "/", True, True, "app"),
        salt="app",
        caching=Caching(cookie=True, vary_cookie=True),
        upgrades=("spdy/3.1",),
    )
    blog = Route(
        "blog",
        Version("stable", (Endpoint("10.0.0.2", 80, "b"), Endpoint("10.0.0.3", 80, "b"))),
        Version("canary", ()),
    )
    answers = {"a": ("10.0.0.1",), "b": ("10.0.0.2", "10.0.0.3")}
    assert compile_table(parse(FULL, "f", {}), 7, answers) == RoutingTable(7, (shop, blog))


def test_every_key_arrives_in_the_settings() -> None:
    assert plane_settings(parse(FULL, "f", {})) == PlaneSettings(
        Limits(
            max_connections=1,
            header_bytes=2048,
            headers=3,
            uri_bytes=1024,
            body_bytes=5,
            connections_per_address=7,
            handshakes=6,
        ),
        Timeouts(
            header=1.0, keep_alive=2.0, body_idle=3.0, half_close=4.0, drain=5.0, tunnel_idle=6.0, abort_drain=7.0
        ),
        (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        Forwarding("rfc7239", ("x-forwarded-prefix",)),
    )


def test_no_key_at_all_is_the_models_own_defaults() -> None:
    assert plane_settings(from_flags("http://a", "http://b")) == PlaneSettings()


def test_listeners_come_in_the_order_of_the_file() -> None:
    assert listen_addresses(parse(FULL, "f", {})) == (("", 8080), ("::1", 8081))
    assert listen_addresses(from_flags("http://a", "http://b")) == (("127.0.0.1", 8080),)


def test_tables_of_one_config_differ_by_generation_alone() -> None:
    config = parse(FULL, "f", {})
    one, two = compile_table(config, 1), compile_table(config, 2)
    assert (one.generation, two.generation) == (1, 2)
    assert one.routes == two.routes


LABELS = st.from_regex(r"[a-z0-9]{1,5}[a-z]", fullmatch=True)
ROUTES = st.fixed_dictionaries(
    {
        "hosts": st.lists(LABELS, min_size=1, max_size=3, unique=True),
        "paths": st.lists(LABELS, min_size=1, max_size=3, unique=True),
        "weight": st.integers(0, 10_000),
        "port": st.integers(1, 65_535),
        "wait": st.integers(1, 600_000),
        "version": st.booleans(),
    }
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True), ROUTES, min_size=1, max_size=4))
def test_any_valid_config_compiles_to_a_table_that_says_the_same(routes: dict[str, dict[str, object]]) -> None:
    lines = ["routes:"]
    for number, (name, route) in enumerate(routes.items()):
        assert isinstance(route["hosts"], list)
        assert isinstance(route["paths"], list)
        assert isinstance(route["weight"], int)
        lines += [
            f"  {name!r}:",
            "    hosts: [" + ", ".join(f"'*.{host}.r{number}.example'" for host in route["hosts"]) + "]",
            "    paths: [" + ", ".join(f"/{path}" for path in route["paths"]) + "]",
            f"    stable: http://stable:{route['port']}",
            f"    canary: {{url: 'http://canary:{route['port']}', response_timeout: {route['wait']}ms}}",
            f"    weight: {percent_text(route['weight'])}",
            f"    headers: {{add_version: {str(route['version']).lower()}}}",
        ]
    table = compile_table(parse("\n".join(lines), "f", {}), 3, {"canary": ("10.0.0.9",)})
    assert [route.name for route in table.routes] == list(routes)
    for compiled, route in zip(table.routes, routes.values(), strict=True):
        assert compiled.weight == route["weight"]
        assert len(compiled.hosts) == len(route["hosts"])  # type: ignore[arg-type]
        assert compiled.canary is not None
        assert compiled.canary.endpoints == (Endpoint("10.0.0.9", route["port"], "canary"),)  # type: ignore[arg-type]
        assert compiled.canary.response_timeout == route["wait"] / 1000  # type: ignore[operator]
        assert compiled.add_version is route["version"]


def test_a_worker_is_sent_what_trusted_proxies_write() -> None:
    config = parse(FULL, "f", {})
    assert worker_config(config, 0, 1, "canaryproxy-test").forwarding == plane_settings(config).forwarding
