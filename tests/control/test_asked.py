"""What the controller is asked."""

from tests.support.admin import Api


async def test_endpoints_are_those_of_the_versions_that_there_are() -> None:
    api = await Api(route="  docs: {hosts: [c.test], stable: 'http://127.0.0.1:1'}\n").start()
    assert {name: [state for _, state in side] for name, side in api.controller.endpoints("shop").items()} == {
        "stable": ["unknown"], "canary": ["unknown"],
    }  # fmt: skip
    assert list(api.controller.endpoints("docs")) == ["stable"]
    assert (api.controller.rules("docs"), api.controller.revision("gone")) == ((), 0)
