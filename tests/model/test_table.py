"""What the table's types do not allow."""

import pytest

from canaryproxy.model.table import Endpoint, Route, Version

STABLE, CANARY = Version("stable", (Endpoint("a", 1),)), Version("canary", (Endpoint("a", 1),))


@pytest.mark.parametrize(("host", "authority"), [("a.test", "a.test:80"), ("::1", "[::1]:80")])
def test_an_authority_brackets_ipv6(host: str, authority: str) -> None:
    assert Endpoint(host, 80).authority == authority


@pytest.mark.parametrize("weight", [-1, 10_001])
def test_a_weight_is_a_share(weight: int) -> None:
    with pytest.raises(ValueError, match=r"not in 0\.\.10000"):
        Route("shop", STABLE, CANARY, weight)


def test_a_host_field_names_the_name_that_was_resolved() -> None:
    assert Endpoint("10.0.0.1", 81, "shop").site == "shop:81"
    assert Endpoint("::1", 81).site == "[::1]:81"
