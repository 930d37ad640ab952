"""A test case: events, and whether a rule alerts on them in an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ruledeploy.errors import Location
from ruledeploy.model.event import Event

Expectation = Literal["alert", "no_alert", "suppressed"]


@dataclass(frozen=True, slots=True)
class TestCase:
    """One expectation on one rule.

    Either `events` (given inline) or `scenario` (an id such as `attack/prototype`) supplies the
    events. `env` None means every environment. `item` names the allowlist item
    (`<overlay id>/<item id>` or `<item id>`) that must be the one to suppress. `count` is the
    exact number of alerting events; None means all of them for `alert`.
    """

    __test__ = False  # pytest: this is not a test class

    name: str
    expect: Expectation
    location: Location
    env: str | None = None
    events: tuple[Event, ...] = ()
    scenario: str | None = None
    item: str | None = None
    count: int | None = None
