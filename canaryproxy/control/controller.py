"""The single writer: what the config says now, which generation serves it, and how it is replaced.

A reload loads and validates the file away from the event loop, compiles a table and publishes it. A file
that does not hold up changes nothing: the old config goes on serving and the reload says what is wrong.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from canaryproxy.config import Config, ConfigError
from canaryproxy.control.compile import compile_table
from canaryproxy.model.table import RoutingTable


class Traffic(Protocol):
    """What the controller needs of the data plane."""

    def publish(self, table: RoutingTable) -> None:
        """Make `table` the one that the next request head is decided by."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did.

    `generation` is the one serving now. `problem` is the full text of what is wrong with the file, empty
    if it holds up. `changed` says a new table was published; `restart` that `server:` differs from what
    this process was started with, so part of the file waits for a restart.
    """

    generation: int
    changed: bool = False
    restart: bool = False
    problem: str = ""


class Controller:
    """Owns the config and the generation. `load` reads the config anew; it may raise `ConfigError`."""

    def __init__(self, config: Config, traffic: Traffic, load: Callable[[], Config] | None = None) -> None:
        self._started_with = config.server
        self._traffic = traffic
        self._load = load
        self._reloading = asyncio.Lock()
        self.config = config
        self.generation = 0

    def __repr__(self) -> str:
        return f"<Controller generation {self.generation}, {len(self.config.routes)} routes>"

    def start(self) -> None:
        """Publish the first table."""
        self._publish(self.config)

    async def reload(self) -> Reload:
        """Read the config again and publish what it says. Calls are served one after another.

        Each call reads after it was made, so no change is lost. Without a file there is nothing to read.
        """
        async with self._reloading:
            if self._load is None:
                return Reload(self.generation)
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigError as error:
                return Reload(self.generation, problem=str(error))
            changed = config.routes != self.config.routes
            if changed:
                self._publish(config)
            self.config = config
            return Reload(self.generation, changed=changed, restart=config.server != self._started_with)

    def _publish(self, config: Config) -> None:
        self.generation += 1
        self.config = config
        self._traffic.publish(compile_table(config, self.generation))
