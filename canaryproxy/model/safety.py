"""What keeps a canary from doing harm: the shield, and the mirror that tries it without any user. Times in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shield:
    """Stable answers for a failed canary attempt. `timeout` is how long the canary may take until its response begins;
    `budget` the share of the canary's requests that may be answered so, in basis points.
    """

    timeout: float = 2.0
    budget: int = 2_000


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies of stable's requests for the canary: their share in basis points, and which of them qualify. `max_body`
    is in bytes.
    """

    percent: int
    methods: tuple[str, ...] = ("GET", "HEAD")
    max_body: int = 65_536
