"""Sources as a config names them, and what the judge gets of them."""

from pathlib import Path

import pytest

from canaryproxy.analysis.spec import ExternalSpec, ResourceSpec
from canaryproxy.config import ConfigError, parse
from canaryproxy.config.schema.analysis import AnalysisConfig

TEXT = """
routes:
  shop:
    stable: http://a:1
    canary: http://b:1
    analysis: {{{analysis}}}
"""


def analysis(text: str) -> AnalysisConfig:
    found = parse(TEXT.format(analysis=text), "f", {}).routes["shop"].analysis
    assert found is not None
    return found


def test_a_resource_is_scraped_at_its_endpoints_and_holds() -> None:
    found = analysis("resources: [{name: cpu, counter: cpu_total, tolerance: 20%, block: 1m, port: 9102}]")
    (cpu,) = found.resources
    assert (cpu.scrape, cpu.port, cpu.per) == ("/metrics", 9102, "request")
    assert cpu.spec == ResourceSpec("cpu", 1.2, 60.0, "hold")
    assert found.spec(()).resources == (cpu.spec,)


def test_a_check_asks_for_each_version_where_it_names_them() -> None:
    found = analysis(
        "checks: [{name: a, prometheus: 'http://p', query: 'x{v=\"{{version}}\"}', max_ratio_to_stable: 2}, "
        "{name: b, url: 'http://q/{{version}}', min: 0.5, token: abc}, {name: c, url: 'http://q/', max: 1}]"
    )
    assert [one.by_version for one in found.checks] == [True, True, False]
    assert [one.secret for one in found.checks] == ["", "abc", ""]
    assert found.spec(()).externals[0] == ExternalSpec("a", None, None, 2.0, 3, "rollback")


def test_a_token_file_is_part_of_the_config_and_watched(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    config = parse(TEXT.format(analysis=f"checks: [{{name: a, url: 'http://q', max: 1, token_file: {path}}}]"), "f", {})
    assert config.files == (path,)
    checks = config.routes["shop"].analysis
    assert checks is not None
    assert checks.checks[0].secret == "secret"
    assert "secret" not in repr(checks)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("url: 'http://q x/', max: 1", "expected a URL"),
        ("url: 'http://q/#top', max: 1", "expected a URL"),
        ("url: 'http://[q/', max: 1", "expected a URL"),
        ("url: 'http://q/', field: /a~2, max: 1", "expected a JSON pointer"),
        ("url: 'http://q/', max: .inf", "expected a number"),
    ],
)
def test_what_cannot_be_asked_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        analysis(f"checks: [{{name: a, {text}}}]")
