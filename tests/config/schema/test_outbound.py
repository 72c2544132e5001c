"""What goes out with requests to others: headers, their files, and TLS."""

from pathlib import Path

import pytest

from canaryproxy.config import ConfigError, parse
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.outbound import secure, texts
from canaryproxy.config.schema.root import Config
from canaryproxy.config.types.secret import HeaderValue, header_value, sent_header
from tests.support.authority import Authority


def test_values_are_texts_or_files_and_never_shown(tmp_path: Path) -> None:
    held = tmp_path / "key"
    held.write_text("s3cret \n")
    read = header_value({"file": str(held), "prefix": "Bearer "})
    assert read == HeaderValue("Bearer s3cret", held)
    assert "s3cret" not in repr(read)
    assert str(read) == str(held)
    assert (header_value(" a b ").text, header_value("").text) == ("a b", "")
    assert texts({"x-a": read}) == (("x-a", "Bearer s3cret"),)


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "h\u00e9", "x" * 9000, 5, None, True, [], {}, {"file": 5}])
def test_anything_else_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        header_value(value)
    assert caught.value.found


@pytest.mark.parametrize("content", ["", " \n", "two\nlines", "h\u00e9"])
def test_a_file_holds_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content, "utf-8")
    with pytest.raises(InvalidValueError):
        header_value({"file": str(tmp_path / "key")})


def test_fields_of_the_connection_are_not_the_users() -> None:
    assert sent_header("X-Key") == "x-key"
    for name in ("Connection", "transfer-encoding", "content-length", "x y", "", ":path", 5):
        with pytest.raises(InvalidValueError):
            sent_header(name)


def config(tmp_path: Path) -> str:
    return f"""
    stable: http://a
    canary:
      url: http://b
      health: {{path: /, headers: {{x-a: {{file: {tmp_path}/a}}}}}}
    analysis:
      checks: [{{name: c, url: "https://q", max: 1, headers: {{x-b: {{file: {tmp_path}/b}}}}, tls: {{ca: {tmp_path}/ca.crt}}}}]
      resources: [{{name: r, counter: c, headers: {{x-c: {{file: {tmp_path}/c}}}}}}]
    rollout:
      hooks: [{{name: h, when: end, url: "http://h", headers: {{x-d: {{file: {tmp_path}/d}}}}}}]
      notify: {{url: "http://h", token_file: {tmp_path}/e}}
    """


def test_all_files_are_watched_and_their_contents_are_part_of_the_config(tmp_path: Path) -> None:
    Authority().write_ca(tmp_path)
    for name in "abcde":
        (tmp_path / name).write_text("first")

    def read() -> Config:
        return parse(config(tmp_path), "f", {})

    before = read()
    assert {path.name for path in before.files} == {"a", "b", "c", "d", "e", "ca.crt"}
    assert before == read()
    for name in "abcde":
        (tmp_path / name).write_text(f"second {name}".replace(" ", "-"))
        after = read()
        assert after != before
        before = after
    assert "second" not in repr(before)


def test_a_value_from_the_environment_is_not_shown_where_it_does_not_fit() -> None:
    text = "{stable: 'http://a', canary: {url: 'http://b', health: {path: /, headers: {x-a: '${KEY}'}}}}"
    with pytest.raises(ConfigError) as caught:
        parse(text, "f", {"KEY": "s3cret\n"})
    assert "s3cret" not in str(caught.value)
    assert "routes.default" not in str(caught.value)


def test_without_a_section_the_host_is_expected_and_the_system_trusted() -> None:
    assert secure("a.test", None).server_name == "a.test"
    assert secure("a.test", None).ca == b""
