"""Problems and how they are reported."""

from canaryproxy.config.problems import ConfigError, ConfigProblem, path_text


def test_a_problem_is_one_line_with_place_path_find_and_hint() -> None:
    problem = ConfigProblem("config.yaml", 12, 5, "routes.shop.weight", 'found "abc"', "expected a percentage")
    assert str(problem) == 'config.yaml:12:5: routes.shop.weight: found "abc"; expected a percentage'


def test_a_problem_without_text_or_path_leaves_them_out() -> None:
    assert str(ConfigProblem("", None, None, "--weight", "found 7", "write 5")) == "--weight: found 7; write 5"
    assert str(ConfigProblem("a.yaml", None, None, "", "no such file", "check")) == "a.yaml: no such file; check"


def test_an_error_tells_all_problems_in_the_order_of_the_text() -> None:
    late, early = (ConfigProblem("f", line, 1, "", str(line), "fix") for line in (9, 2))
    error = ConfigError([late, early])
    assert error.problems == (early, late)
    assert str(error) == "f:2:1: 2; fix\nf:9:1: 9; fix"


def test_what_does_not_print_is_escaped() -> None:
    assert "\x1b" not in str(ConfigProblem("f", 1, 1, "a\x1b", "b\x1b", "c\x1b"))


def test_a_path_is_written_as_one_would_say_it() -> None:
    assert path_text(("routes", "shop", "hosts", 1)) == "routes.shop.hosts[1]"
    assert path_text(()) == ""
