"""What every event of a scenario shares: the host, the instance, a generator of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ruledeploy.telemetry.fleet import Actor, Host, actor

# Dotted field names to values; None removes what a template would have set there.
Fields = Mapping[str, Any]
Shipper = Literal["integration", "winlogbeat"]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where events are built: `scope` names the instance, so that its processes keep their pids.

    `shipper` says who brings Sysmon events in: the Elastic integration, or Winlogbeat.
    """

    host: Host
    scope: str
    rng: random.Random
    shipper: Shipper = "integration"

    def actor(self, executable: str) -> Actor:
        """The process that runs `executable` in this scene."""
        return actor(self.scope, self.host, executable)


@dataclass(frozen=True, slots=True)
class Prototype:
    """An event without its moment: `body` is nested and shared, `stamped` makes events of it.

    `message` may hold `UTC_HOLE`, where Sysmon writes the time. `texts` keeps the JSON of the
    body's members once somebody has asked for it, since thousands of events share them.
    """

    index: str
    family: str
    body: Mapping[str, Any]
    message: str
    texts: dict[str, str] = field(default_factory=dict, compare=False, repr=False)


UTC_HOLE = "\x00"


def merged(template: Fields, given: Fields) -> dict[str, Any]:
    """`template` overridden by `given`; a None in `given` takes the field and all below it away."""
    flat = {**template, **given}
    gone = [name for name, value in given.items() if value is None]
    return {
        name: value
        for name, value in flat.items()
        if not any(name == one or name.startswith(f"{one}.") for one in gone)
    }


def nested(flat: Fields) -> dict[str, Any]:
    """Dotted names as nested objects, keys sorted at every level."""
    root: dict[str, Any] = {}
    for name in sorted(flat):
        *parents, leaf = name.split(".")
        here = root
        for part in parents:
            here = here.setdefault(part, {})
        here[leaf] = flat[name]
    return root


def hexadecimal(value: Any) -> str:
    """A number as Windows tools print sizes and access masks; text stays as it is."""
    return hex(value) if isinstance(value, int) else str(value)
