"""What both ways did to their customers."""

from canaryproxy.cli.demo.beside import CustomerResults, closing, facts, rows


def met(*answers: tuple[int, str, bool, bool]) -> CustomerResults:
    made = CustomerResults()
    for customer, version, failed, tester in answers:
        made.count(customer, version, failed=failed, tester=tester)
    return made


def test_customers_are_counted_once_and_testers_apart() -> None:
    there = met(
        (1, "stable", False, False),
        (1, "canary", True, False),
        (1, "canary", True, False),
        (2, "stable", False, False),
        (9, "stable", False, True),
        (9, "canary", False, True),
    )
    assert facts(there) == {
        "requests": 4,
        "canary_percent": 50.0,
        "failed": 2,
        "customers": 2,
        "customers_hurt": 1,
        "customers_with_both_versions": 1,
        "testers_on_canary_percent": 50.0,
    }
    here = met((1, "stable", False, False), (9, "canary", False, True))
    assert ("customers hurt", "1 of 2", "0 of 1") in rows(there, here)
    said = "\n".join(closing(there, here, 1.0, 0.0031))
    assert "1 of 2 customers got both there, 0 here" in said
    assert "after 3.1 ms" in said


def test_nothing_has_no_share() -> None:
    assert (facts(CustomerResults())["canary_percent"], facts(CustomerResults())["testers_on_canary_percent"]) == (
        0.0,
        0.0,
    )
