"""Rules back to what a user writes: reading what was written gives the same rule."""

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.rules_document import rule_from_written
from canaryproxy.config.write_rules import rule_as_written

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)
MATCHERS = st.one_of(
    TEXTS,
    TEXTS.map(lambda text: {"prefix": text}),
    st.booleans().map(lambda flag: {"present": flag}),
    st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda some: {"in": some}),
    st.just({"regex": "a.*"}),
)
RULES = st.fixed_dictionaries(
    {"name": NAMES, "to": st.sampled_from(["stable", "canary"])},
    optional={
        "headers": st.dictionaries(NAMES.map(lambda name: f"x-{name}"), MATCHERS, max_size=2),
        "cookies": st.dictionaries(NAMES, MATCHERS, max_size=2),
        "query": st.dictionaries(NAMES, MATCHERS, max_size=2),
        "methods": st.just(["GET", "HEAD"]),
        "path": st.sampled_from(["/a", {"prefix": "/a"}, {"regex": "/a.*"}]),
        "sources": st.just(["10.0.0.0/8"]),
        "percent": st.integers(0, 10_000).map(lambda points: points / 100),
        "preview": st.booleans(),
        "analyse": st.booleans(),
    },
)


@given(RULES)
def test_writing_and_reading_give_the_same_rule(written: dict[str, object]) -> None:
    rule = rule_from_written(written)
    assert rule_from_written(rule_as_written(rule)) == rule
