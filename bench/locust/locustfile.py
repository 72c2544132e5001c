"""Customers of the shop: they browse, add to the cart, pay; some are testers, who are distinguished by a header.

    locust -f bench/locust/locustfile.py --host http://localhost:8080

Use it against any instance whose route has `affinity: cookie` and `headers: {add_version: true}`. With
`LOCUST_COUNTS=FILE` everything that customers saw is written there at the end, as JSON.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from locust import HttpUser, between, events, task
from requests import Response

COUNTS: Counter[str] = Counter()
USERS: dict[str, set[str]] = {}
REVENUE: dict[str, list[float]] = {}


def count(response: Response, customer: "Customer") -> None:
    """Note what came back, by the version that says it answered, for customers and testers apart."""
    if response.status_code == 0:
        COUNTS["lost"] += 1
        return
    version = response.headers.get("X-Canary-Version", "none")
    who = f"{version} {'testers' if customer.tester else 'customers'}"
    COUNTS[f"{who} requests {response.status_code}"] += 1
    if not customer.tester:
        user = customer.client.cookies.get("canaryproxy", "unknown")
        USERS.setdefault(f"{version} users", set()).add(user)
        if response.status_code >= 500:
            USERS.setdefault(f"{version} users failed", set()).add(user)
    goal = {"/cart": "add_to_cart", "/checkout": "purchase"}.get(response.request.path_url)
    if goal is None or response.status_code >= 400:
        return
    COUNTS[f"{who} {goal}"] += 1
    if not customer.tester:
        USERS.setdefault(f"{version} users {goal}", set()).add(user)
    if goal == "purchase":
        REVENUE.setdefault(f"{who} revenue", []).append(float(response.headers["X-Order-Value"]))


class Customer(HttpUser):
    """Comes, looks around, and sometimes buys."""

    wait_time = between(0.02, 0.2)
    weight = 9
    tester = False

    def _go(self, method: str, path: str, body: Any = None) -> bool:
        headers = {"X-Internal-Tester": "true"} if self.tester else {}
        with self.client.request(method, path, json=body, headers=headers, catch_response=True) as response:
            count(response, self)
            response.success()
            return response.ok

    @task(6)
    def browse(self) -> None:
        """Look at the shop."""
        self._go("GET", "/")
        self._go("GET", "/products?page=1")

    @task(3)
    def add_to_cart(self) -> None:
        """Want something."""
        self._go("POST", "/cart", {"product": 1})

    @task(1)
    def buy(self) -> None:
        """Want it enough to pay."""
        if self._go("POST", "/cart", {"product": 2}):
            self._go("POST", "/checkout", {"card": "4111"})

    @task(1)
    def leave(self) -> None:
        """Another customer comes in their place, with no cookie and no connection."""
        self.client.cookies.clear()
        self.client.close()


class Tester(Customer):
    """Works for the shop."""

    weight = 1
    tester = True


@events.quit.add_listener
def write(**_: Any) -> None:
    """Leave the counts behind."""
    target = os.environ.get("LOCUST_COUNTS")
    if target:
        data: dict[str, float] = {**COUNTS, **{name: len(users) for name, users in USERS.items()}}
        data.update({name: round(sum(values), 2) for name, values in REVENUE.items()})
        Path(target).write_text(json.dumps(data, indent=2, sort_keys=True))
