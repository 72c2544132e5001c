"""The part of the schema that keeps a canary from doing harm: shield and mirror."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import CopySize, Method, Percent, Section, ShortDuration, Switch
from canaryproxy.config.types.quantity import is_off
from canaryproxy.config.types.sequence import non_empty_sequence
from canaryproxy.model.fields import SAFE
from canaryproxy.model.table import Mirror, Shield

SHIELD = Shield()


class ShieldConfig(Section):
    """Stable answers where an attempt at the canary fails before the client got a byte. `true` takes the defaults.

    That is a 5xx, a reset, a broken or late answer to a request that is safe to repeat (GET, HEAD, OPTIONS), or a
    connection that cannot be opened, whatever the request. The canary is charged with the failure all the same.
    """

    timeout: ShortDuration = Field(
        default=SHIELD.timeout,
        description="How long the canary may take until its response begins; then stable is asked.",
        examples=["500ms"],
    )
    budget: Percent = Field(
        SHIELD.budget,
        description="How many of the canary's requests, percent, stable may answer: it must not be hit by the whole "
        "canary's load at once. What lies beyond it fails as it would without a shield.",
        examples=["100"],
    )

    @property
    def shield(self) -> Shield:
        """As the table has it."""
        return Shield(self.timeout, self.budget)


class MirrorConfig(Section):
    """Copies of requests that stable answers, sent to the canary as well. Its answers are dropped."""

    percent: Percent = Field(description="How many of stable's requests are copied; 0 copies none.", examples=["10"])
    methods: Annotated[tuple[Method, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=("GET", "HEAD"), description="Methods of requests that are copied.", examples=["[GET]"]
    )
    unsafe_methods: Switch = Field(
        default=False,
        description="Say yes to methods that change things: whatever they do is then done twice, once by each version.",
        examples=["true"],
    )
    max_body: CopySize = Field(
        default=65_536, description="Requests with a longer body are not copied.", examples=["16KiB"]
    )

    @model_validator(mode="after")
    def _harmless(self) -> Self:
        unsafe = [method for method in self.methods if method.encode("ascii") not in SAFE]
        if unsafe and not self.unsafe_methods:
            found = f"methods that change things ({', '.join(unsafe)})"
            hint = "the canary would do it a second time: leave them out, or add `unsafe_methods: true`"
            raise InvalidValueError(
                hint, found=found, plain=InvalidValueError(hint, found="methods that change things")
            )
        return self

    @property
    def mirror(self) -> Mirror:
        """As the table has it."""
        return Mirror(self.percent, self.methods, self.max_body)


def defaults_if_true(value: object) -> object:
    """`true` in place of a section all of whose keys have defaults; `off` for none."""
    if is_off(value):
        return None
    return {} if value is True else value
