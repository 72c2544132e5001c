"""The sections that protect users from a failing canary: shield and mirror."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.config.types.readers import is_off, non_empty_sequence
from canaryproxy.model.fields import SAFE
from canaryproxy.model.table import Mirror, Shield

SHIELD = Shield()


class ShieldConfig(Section):
    """If a request to the canary fails before the client received a byte, it is sent to stable. `true` takes the
    defaults.

    Failures are a 5xx, a reset, and a broken or late response to a request that is safe to repeat (GET, HEAD, OPTIONS);
    and for every request a connection that cannot be opened. The failure still counts against the canary.
    """

    timeout: leaves.ShortDuration = Field(
        default=SHIELD.timeout,
        description="Longest time until the response of the canary begins; then the request is sent to stable.",
        examples=["500ms"],
    )
    budget: leaves.Percent = Field(
        SHIELD.budget,
        description="Percentage of the requests of the canary that may be sent to stable again. It protects stable "
        "from the whole load of the canary at once. Failures beyond it reach the client.",
        examples=["100"],
    )

    @property
    def shield(self) -> Shield:
        """The shield for the routing table."""
        return Shield(self.timeout, self.budget)


class MirrorConfig(Section):
    """Copies of requests to stable that are also sent to the canary. Its responses are dropped."""

    percent: leaves.Percent = Field(
        description="Percentage of the requests to stable that are copied; 0 copies none.", examples=["10"]
    )
    methods: Annotated[tuple[leaves.Method, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=("GET", "HEAD"), description="Methods of requests that are copied.", examples=["[GET]"]
    )
    unsafe_methods: leaves.Switch = Field(
        default=False,
        description="Allow methods that change data. Each change is then made twice, once by each version.",
        examples=["true"],
    )
    max_body: leaves.CopySize = Field(
        default=65_536, description="Requests with a longer body are not copied.", examples=["16KiB"]
    )

    @model_validator(mode="after")
    def _harmless(self) -> Self:
        unsafe = [method for method in self.methods if method.encode("ascii") not in SAFE]
        if unsafe and not self.unsafe_methods:
            hint = "the canary would make each change a second time: remove them, or add `unsafe_methods: true`"
            found = "methods that change data"
            raise InvalidValueError(hint, found=f"{found} ({', '.join(unsafe)})", plain=found)
        return self

    @property
    def mirror(self) -> Mirror:
        """The mirror for the routing table."""
        return Mirror(self.percent, self.methods, self.max_body)


def defaults_if_true(value: object) -> object:
    """An empty mapping for `true`, where all keys of a section have defaults; None for `off`."""
    if is_off(value):
        return None
    return {} if value is True else value
