"""The ways in: files, texts, flags; every message in `broken/`; every example in the repository."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config import Config, ConfigError, from_flags, load, parse
from canaryproxy.config.schema.root import SECTIONS
from canaryproxy.config.types.address import Origin
from canaryproxy.config.yaml.document import MAX_BYTES, read_document
from canaryproxy.config.yaml.nodes import LOADERS
from canaryproxy.control.compile import compile_table
from tests.support.authority import Authority

BROKEN = Path(__file__).parent / "broken"
EXAMPLES = Path(__file__).parents[2] / "config"
ENVIRON = {"W": "abc", "DB_PASSWORD": "hunter2"}
TWO_LINES = "stable: http://localhost:9001\ncanary: http://localhost:9002\n"


def refused(read: Callable[[], Config]) -> ConfigError | None:
    try:
        read()
    except ConfigError as error:
        return error
    return None


def test_two_lines_are_a_working_config() -> None:
    config = parse(TWO_LINES, "f", {})
    assert list(config.routes) == ["default"]
    route = config.routes["default"]
    assert route.canary is not None
    assert (route.stable.url, route.canary.url) == (
        Origin("http", "localhost", 9001),
        Origin("http", "localhost", 9002),
    )
    assert route.weight == 0


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)
@pytest.mark.parametrize("case", sorted(BROKEN.glob("*.yaml")), ids=lambda case: case.stem)
def test_a_broken_config_is_reported_line_path_and_hint(
    case: Path, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canaryproxy.config.yaml.nodes.compose.__defaults__", (loader,))
    with pytest.raises(ConfigError) as error:
        parse(case.read_text("utf-8"), case.name, ENVIRON)
    expected = case.with_suffix(".txt").read_text("utf-8")
    assert f"{error.value}\n" == expected


def test_each_broken_config_has_its_message_and_no_message_is_left_over() -> None:
    assert {case.stem for case in BROKEN.glob("*.yaml")} == {case.stem for case in BROKEN.glob("*.txt")}


def test_no_message_speaks_of_the_machinery_or_shows_a_secret() -> None:
    for case in BROKEN.glob("*.txt"):
        text = case.read_text("utf-8")
        for word in ("pydantic", "errors.pydantic", "Traceback", "hunter2", "Value error", "input_value"):
            assert word not in text, case.name


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, authority = tmp_path_factory.mktemp("tls"), Authority()
    authority.write_ca(folder)
    for stem in ("shop", "blog"):
        authority.write(folder, stem, f"{stem}.example.com")
    (folder / "token").write_text("a-token-that-is-long-enough\n")
    return folder


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda example: example.stem)
def test_an_example_loads_and_compiles_without_a_warning(example: Path, tls: Path) -> None:
    config = load(example, {"TLS": str(tls)})
    assert config.warnings == ()
    assert compile_table(config, 1).routes


ELSEWHERE = {
    ("routes", "*", "analysis", "checks", "*", "token_file"),
    ("routes", "*", "rollout", "hooks", "*", "token_file"),
    ("routes", "*", "rollout", "notify", "token_file"),
}
"""Beside its like it would be an error, and what it names has to be there."""


def test_the_example_of_everything_has_every_key() -> None:
    texts = [(EXAMPLES / name).read_text("utf-8") for name in ("everything.yaml", "https.yaml")]
    source_values = [loc for text in texts for loc in read_document(text, {}).source_values]
    written = {tuple("*" if isinstance(part, int) or part == "shop" else part for part in loc) for loc in source_values}
    for path, section in SECTIONS.items():
        for key in section.model_fields if "stable" not in path else ():
            assert (*path, key) in written or (*path, key) in ELSEWHERE


def test_the_example_of_everything_states_the_true_defaults() -> None:
    stated, minimal = load(EXAMPLES / "everything.yaml", {}), load(EXAMPLES / "minimal.yaml", {})
    assert stated.server.limits == minimal.server.limits
    assert stated.server.timeouts == minimal.server.timeouts
    assert stated.server.trusted_proxies == minimal.server.trusted_proxies
    shop, default = stated.routes["shop"], minimal.routes["default"]
    assert (shop.paths, shop.headers) == (default.paths, default.headers)
    assert shop.canary is not None
    assert default.canary is not None
    own = {"url", "health", "version"}
    assert shop.canary.model_dump(exclude=own) == default.canary.model_dump(exclude=own)
    assert shop.stable.model_dump(exclude={"url"}) == default.stable.model_dump(exclude={"url"})


def test_an_example_takes_its_values_from_the_environment() -> None:
    config = load(EXAMPLES / "behind-a-proxy.yaml", {"WEIGHT": "0.25", "STABLE": "10.0.0.1:81"})
    assert config.routes["default"].weight == 25
    assert config.routes["default"].stable.url == Origin("http", "10.0.0.1", 81)


# Files.


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "no.yaml", {})
    assert str(error.value).startswith(f"{tmp_path / 'no.yaml'}: no such file; check the path")


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a directory; give the path of a file"):
        load(tmp_path, {})


def test_a_file_that_may_not_be_read_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, f"Permission denied ({flags})", str(path))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(ConfigError, match="a file without read permission; give this user permission"):
        load(Path("f"), {})


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_an_impossible_name_is_reported(name: str) -> None:
    with pytest.raises(ConfigError, match="a file that cannot be read"):
        load(Path(name), {})


def test_a_file_that_is_not_utf8_is_reported_where(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(TWO_LINES.encode() + "# ü".encode() + b"\xe9\n")
    with pytest.raises(ConfigError) as error:
        load(path, {})
    assert str(error.value) == f"{path}:3:4: a byte that is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize("letter", ["x", "ü", "€", "𝄞"])
def test_a_file_that_is_too_big_is_refused_wherever_the_reading_stopped(tmp_path: Path, letter: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("#" + letter * (MAX_BYTES // len(letter.encode()) + 9), "utf-8")
    with pytest.raises(ConfigError, match="more than 4 MiB"):
        load(path, {})


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="more than 4 MiB"):
        load(Path("/dev/zero"), {})


# Flags.


def test_flags_are_the_two_line_form() -> None:
    assert from_flags("http://localhost:9001", "http://localhost:9002", None, None) == parse(TWO_LINES, "f", {})
    config = from_flags("http://a", "http://b", "0.25", ":8080")
    assert config.routes["default"].weight == 25
    assert config.server.listen[0].address == ("", 8080)
    assert from_flags("http://a", "http://b", "0.25%").routes["default"].weight == 25


def test_problems_of_flags_name_the_flag() -> None:
    with pytest.raises(ConfigError) as error:
        from_flags("localhost:9001", "", "abc", "8080")
    assert str(error.value).splitlines() == [
        '--listen: found "8080"; write 127.0.0.1:8080 for this machine only, or :8080 for every IPv4 and IPv6 address',
        '--stable: found "localhost:9001"; the scheme is missing: write http://localhost:9001',
        '--canary: found ""; expected a URL such as http://localhost:9001',
        '--weight: found "abc"; expected a percentage from 0 to 100 with at most two decimals, such as 5 or 0.25',
    ]


@given(st.text(), st.text(), st.text(), st.text())
def test_any_flags_are_a_config_or_problems(stable: str, canary: str, weight: str, listen: str) -> None:
    error = refused(lambda: from_flags(f"http://{stable}", canary, weight, listen))
    assert error is None or [problem.path[:2] for problem in error.problems] == ["--"] * max(1, len(error.problems))


# Whatever comes.

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["http://a", "http://b:80/", ":80", "*.a", "/x", "5%", "1s", "64KiB", "off", "${A}", "${", "a.b"]),
)
KEYS = st.one_of(
    st.sampled_from(sorted({key for one in SECTIONS.values() for key in one.model_fields})),
    st.sampled_from(["shop", "Shop", "stabel", "<<", "[key]", "default", ""]),
    st.text(max_size=4),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5))
)


def written(value: object) -> str:
    """A tree as YAML in flow style; quoted or plain as it comes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return value if value.isalnum() and value.isascii() else "'" + value.replace("'", "''") + "'"
    return {None: "~", True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]


def config_or_problems(text: str) -> None:
    error = refused(lambda: parse(text, "f", {"A": "abc"}))
    if error is not None:
        assert error.problems
        for problem in error.problems:
            assert problem.found
            assert problem.hint
            assert str(problem).startswith("f:")
            assert "\n" not in str(problem)


@given(TREES)
def test_any_tree_is_a_config_or_problems(tree: object) -> None:
    config_or_problems(written(tree))


@given(st.dictionaries(KEYS, TREES, max_size=4), st.dictionaries(KEYS, TREES, max_size=4))
def test_any_tree_that_looks_like_a_config_is_one_or_problems(server: object, route: dict[str, object]) -> None:
    route = {"stable": "http://a", "canary": "http://b", **route}
    config_or_problems(written({"server": server, "routes": {"shop": route, "blog": {**route, "paths": ["/b"]}}}))
    config_or_problems(written({"server": server, **route}))


@given(st.text())
def test_any_text_is_a_config_or_problems(text: str) -> None:
    config_or_problems(text)
    config_or_problems(TWO_LINES + text)
    config_or_problems(f"stable: {text}\ncanary: '{text}'\nweight: ${{{text}}}\n")


@given(st.binary())
def test_any_bytes_in_a_file_are_a_config_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    error = refused(lambda: load(path, {}))
    assert error is None or error.problems
