"""Words for faults. The full sentences are in `broken/`; here is what a file cannot show well."""

import pytest

from canaryproxy.config import diagnose
from canaryproxy.config.diagnose import Diagnosis
from canaryproxy.config.problems import InvalidValueError, Position
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.yaml.document import Document, SourceValue, read_document


def explained(text: str, *faults: SchemaFault, short: bool = False, environ: dict[str, str] | None = None) -> list[str]:
    document = read_document(text, environ or {})
    return list(map(str, Diagnosis("f", document, short=short).problems(faults)))


def value(*loc: str | int) -> SchemaFault:
    return SchemaFault(loc, "value", InvalidValueError("fix it"))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("5", "5"),
        ("0.50", "0.50"),
        ("Yes", "yes"),
        ("~", "nothing"),
        ("", "nothing"),
        ("[1]", "a list"),
        ("{b: 1}", "a mapping"),
        ("abc", '"abc"'),
        ("'5'", '"5"'),
        ('"a\\tb"', '"a\\tb"'),
        ("x" * 100, '"' + "x" * 60 + '..."'),
    ],
)
def test_what_was_found_is_shown_as_it_was_written(written: str, found: str) -> None:
    lines = explained(f"a: {written}", value("a"))
    assert lines == [f"f:1:1: a: found {found}; fix it"]


@pytest.mark.parametrize(
    "text", ["api_token: hunter2", "my-Secret: hunter2", "password: hunter2", "passwords: [hunter2]"]
)
def test_the_value_of_a_key_that_speaks_of_a_secret_is_not_shown(text: str) -> None:
    key = text.partition(":")[0]
    lines = explained(text, SchemaFault((key,), "value", InvalidValueError("write hunter2 otherwise")))
    assert lines == [f"f:1:1: {key}: a value that is not shown; write it like the reference says"]
    lines = explained(text, SchemaFault((key, 0), "value", InvalidValueError("write hunter2 otherwise")))
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (InvalidValueError("write abc7 without the quotes"), "write it like the reference says"),
        (InvalidValueError("expected a name"), "expected a name"),
        (InvalidValueError("expected a list: write [abc7]"), "expected a list"),
        (InvalidValueError("abc7 is odd; expected a name such as x"), "expected a name such as x"),
        (
            InvalidValueError("write abc7", found="an abc7", plain="one of it", plain_hint="write another"),
            None,
        ),
    ],
)
def test_a_value_from_the_environment_is_shown_as_it_was_written(wrong: InvalidValueError, said: str | None) -> None:
    lines = explained("a: ${W}${N}", SchemaFault(("a",), "value", wrong), environ={"W": "abc", "N": "7"})
    found = f'found "${{W}}${{N}}", whose value is not shown; {said}'
    assert lines == [f"f:1:1: a: {found if said else 'one of it; write another'}"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://chat.test/services/T0/B0/hunter2", 'found "https://chat.test/..."'),
        ("https://chat.test?hunter2", 'found "https://chat.test?..."'),
        ("ftp://u:hunter2@chat.test", 'found "ftp://...@chat.test"'),
        ("chat.test/services/hunter2", "a value that is not shown"),
        ("5", "found 5"),
    ],
)
def test_of_a_url_that_is_called_the_host_is_shown_at_most(written: str, shown: str) -> None:
    lines = explained(
        f"rollout: {{notify: {{url: '{written}'}}}}".replace("'5'", "5"), value("rollout", "notify", "url")
    )
    assert lines == [f"f:1:20: rollout.notify.url: {shown}; fix it"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [("http://a/b?key=hunter2", "http://a/b?..."), ("http://u:hunter2@a", "http://...@a"), ("a@b?c", "a@b?c")],
)
def test_of_any_url_neither_user_nor_query_is_shown(written: str, shown: str) -> None:
    assert explained(f"a: {written}", value("a")) == [f'f:1:1: a: found "{shown}"; fix it']


def test_a_list_with_values_from_the_environment_names_the_variables() -> None:
    lines = explained("a:\n- ${W}\n- b\n- ${N}", value("a"), environ={"W": "abc", "N": "7"})
    assert lines == ["f:1:1: a: found a list with ${N}, ${W}; write it like the reference says"]


def test_the_value_of_a_secret_variable_is_not_shown() -> None:
    lines = explained(
        "weight: ${CI_TOKEN}", value("routes", "default", "weight"), short=True, environ={"CI_TOKEN": "hunter2"}
    )
    assert lines == ["f:1:1: weight: a value that is not shown; write it like 5"]


def test_a_fault_inside_a_short_form_is_reported_where_the_user_wrote() -> None:
    assert explained("routes:\n  shop:\n    stable: x", value("routes", "shop", "stable", "url")) == [
        'f:3:5: routes.shop.stable: found "x"; fix it'
    ]


def test_a_key_missing_because_it_was_misspelt_is_not_reported_twice() -> None:
    faults = SchemaFault(("routes", "a", "stabel"), "unknown"), SchemaFault(("routes", "a", "stable"), "missing")
    lines = explained("routes:\n  a:\n    stabel: x", *faults)
    assert len(lines) == 1
    assert "did you mean `stable`?" in lines[0]


def test_a_value_whose_variable_is_unset_is_not_reported_twice() -> None:
    lines = explained("a: ${X}\nb: 1", value("a"), value("b"))
    assert [line.split(":")[1] for line in lines] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        (
            "server: {maxConnections: 1}",
            "maxConnections",
            "known here: listen, trusted_proxies, forwarded, forwarded_allowed, admin, probes, workers, state, metrics, log, access_log, limits, timeouts",
        ),
        ("server: {max_connections: 1}", "max_connections", "it is a key of `server.limits`"),
        ("server: {body_bytes: 1}", "body_bytes", "it is a key of `server.limits`"),
        ("server: {weight: 1}", "weight", "it is a key of `routes.<name>`"),
        ("server: {Trusted-Proxies: 1}", "Trusted-Proxies", "did you mean `trusted_proxies`? known here"),
        ("server: {" + "w" * 500 + ": 1}", "w" * 500, "known here: listen"),
    ],
)
def test_an_unknown_key_is_led_home(text: str, key: str, hint: str) -> None:
    (line,) = explained(text, SchemaFault(("server", key), "unknown"))
    assert f"unknown key; {hint}" in line


def test_an_unknown_key_of_the_short_form_is_led_home() -> None:
    (line,) = explained("url: 1", SchemaFault(("routes", "default", "url"), "unknown"), short=True)
    assert line == (
        "f:1:1: url: unknown key; it is a key of `stable` or `canary` or `analysis.checks[]` or "
        "`rollout.hooks[]` or `rollout.notify`"
    )


def test_very_many_problems_are_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "MAX_PROBLEMS", 2)
    lines = explained("a: 1\nb: 2\nc: 3\nd: 4", *(value(key) for key in "abcd"))
    assert len(lines) == 3
    assert lines[-1] == "f: more problems; fix the first 2 and try again"


def test_flags_are_named_instead_of_paths() -> None:
    document = Document({"weight": 7}, {(): SourceValue(None), ("weight",): SourceValue(None, "7")})
    explainer = Diagnosis("", document, short=True, names={("weight",): "--weight"})
    assert [str(problem) for problem in explainer.problems([value("routes", "default", "weight")])] == [
        "--weight: found 7; fix it"
    ]


def test_a_problem_points_at_the_nearest_place_there_is() -> None:
    document = read_document("routes:\n  shop: {}", {})
    (problem,) = Diagnosis("f", document, short=False).problems(
        [SchemaFault(("routes", "shop", "canary", "url"), "missing")]
    )
    assert (problem.line, problem.column) == Position(2, 3)
    assert problem.path == "routes.shop.canary.url"
