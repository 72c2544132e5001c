"""`server.limits.buffers`: a size, or auto."""

import pytest

from canaryproxy.config import ConfigError, parse


def limits(text: str) -> int | None:
    text = f"server: {{limits: {{{text}}}}}\nstable: http://a\ncanary: http://b\n"
    return parse(text, "f", {}).server.limits.buffers


@pytest.mark.parametrize(
    ("text", "expected"),
    [("headers: 5", None), ("buffers: auto", None), ("buffers: 256MiB", 2**28), ("buffers: 1048576", 2**20)],
)
def test_a_size_or_what_fits_the_machine(text: str, expected: int | None) -> None:
    assert limits(text) == expected


@pytest.mark.parametrize("text", ["buffers: none", "buffers: 1KiB", "buffers: 2TB", "buffers: -1", "buffers: true"])
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.limits\.buffers: .*"):
        limits(text)
