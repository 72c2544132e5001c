"""What a service says is shown without what it was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.probes.redaction import HIDDEN, MAX_QUOTED_LENGTH, MIN_SECRET_LENGTH, quoted, redacted, secrets, site

CHAT = "https://hooks.chat.test/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX?key=s%2Fcret"
SENT = {"user-agent": "canaryproxy-hook", "authorization": "Bearer top-secret", "x-api-key": "abcdef"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (CHAT, "https://hooks.chat.test/..."),
        ("http://a:81", "http://a:81"),
        ("http://a:81/", "http://a:81"),
        ("http://a?key=1", "http://a/..."),
        ("http://user:word@a/", "http://a"),
        ("http://[::1]:8/x", "http://[::1]:8/..."),
    ],
)
def test_a_url_is_shown_without_its_path_query_and_user(url: str, shown: str) -> None:
    assert site(url) == shown


@pytest.mark.parametrize(
    "said",
    [
        "Cannot POST /services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "no such hook: XXXXXXXXXXXXXXXXXXXXXXXX",
        f"unknown {CHAT}",
        "bad key s%2Fcret",
        "bad key s/cret",
        "I got Authorization: Bearer top-secret",
        "token top-secret is unknown",
        "abcdef?",
    ],
)
def test_a_service_that_says_what_it_was_sent_is_shown_without_it(said: str) -> None:
    shown = quoted(said.encode(), CHAT, SENT)
    assert HIDDEN in shown
    assert not any(one in shown for one in ("T00000000", "XXXX", "cret", "abcdef"))


def test_other_words_stay_as_they_are() -> None:
    assert quoted(b"  the gate\n is closed ", CHAT, SENT) == "the gate is closed"
    assert quoted(b"\x00\xff", CHAT, SENT) == ""
    assert quoted(b"\x1b[31mred", CHAT, SENT) == ""
    assert quoted(b"", CHAT, SENT) == ""
    assert (
        quoted(b"application/json api", "http://a/api", {"content-type": "application/json"}) == "application/json api"
    )


@given(st.integers(0, 400))
def test_an_answer_that_is_cut_within_a_secret_shows_no_beginning_of_it(before: int) -> None:
    secret = "q-w-e-r-t-y-u-i-o-p"
    said = ("." * before + " " + secret)[:MAX_QUOTED_LENGTH]
    shown = quoted(said.encode(), "http://a", {"authorization": f"Bearer {secret}"})
    assert secret[:MIN_SECRET_LENGTH] not in shown


@given(st.text(min_size=MIN_SECRET_LENGTH), st.text(), st.text())
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    shown = redacted(before + secret + after, [secret])
    assert secret not in shown or secret in HIDDEN + before + after + HIDDEN


def test_the_longest_secret_goes_first() -> None:
    assert secrets("http://a/services/secret-secret", {"x-key": "secret-secret-more"})[0] == "/services/secret-secret"
