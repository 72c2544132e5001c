"""The sample service."""

import random

from aiohttp.test_utils import TestClient, TestServer

from canaryproxy.cli.demo.shop import CANARY, ShopVersion, shop


async def test_the_shop_tells_its_version_everywhere() -> None:
    async with TestClient(TestServer(shop(CANARY, random.Random(1)))) as client:
        assert "version: canary" in await (await client.get("/")).text()
        assert (await (await client.get("/products")).json())["version"] == "canary"
        added = await client.post("/cart", json={"product": 1})
        assert (added.status, (await added.json())["added"]) == (201, {"product": 1})


async def test_a_share_of_its_answers_fails() -> None:
    unlucky = ShopVersion("canary", "", 0.0, 1.0)
    async with TestClient(TestServer(shop(unlucky, random.Random(1)))) as client:
        assert (await client.get("/")).status == 500
