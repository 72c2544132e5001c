"""What the documentation shows works as it is written."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from canaryproxy.cli import app
from canaryproxy.config import parse
from tests.support.authority import Authority

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "getting-started.md", *sorted((ROOT / "docs").glob("howto/*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_config_in_the_documentation_is_valid(block: str, tmp_path: Path) -> None:
    authority = Authority()
    for stem in ("shop", "blog", "proxy"):
        authority.write(tmp_path, stem, f"{stem}.example.com")
    authority.write_ca(tmp_path).rename(tmp_path / "internal-ca.crt")
    config = parse(block.replace("/etc/tls", str(tmp_path)), "block", {})
    assert config.warnings == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_explanation_in_the_documentation_is_what_the_command_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    (tmp_path / "shop.yaml").write_text((re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) or [""])[0])
    for command, answer in re.findall(r"\$ (canaryproxy explain .*?)\n(.*?)```", text, re.DOTALL):
        words = [str(tmp_path / word) if word == "shop.yaml" else word for word in shlex.split(command)[1:]]
        result = CliRunner().invoke(app, words)
        assert result.output.startswith(answer), command
