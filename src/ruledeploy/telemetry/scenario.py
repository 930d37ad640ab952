"""Scenarios: what happens on a host (docs/telemetry.md tells how to write one)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.errors import Location
from ruledeploy.telemetry.fleet import Host, HostKind


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a scenario, or `repeat` of them.

    Times are milliseconds: `at` from the scenario's start, `every` between repetitions, `late`
    between an event and its arrival (None: as usual). A field value may be `{each: [...]}`: the
    n-th repetition takes the n-th value, again from the first after the last. A step that is not
    the scenario's `own` was taken over from a part, with that scenario's `technique`.
    """

    at: int
    event: str
    fields: Mapping[str, Any]
    repeat: int = 1
    every: int = 1000
    late: int | None = None
    technique: str | None = None
    own: bool = True

    def fields_of(self, repetition: int, host: Host) -> dict[str, Any]:
        """The fields of one repetition, with `{user}` and `{host}` filled in."""
        return {
            name: _filled(_chosen(value, repetition), host) for name, value in self.fields.items()
        }


@dataclass(frozen=True, slots=True)
class Part:
    """Another scenario as a part of one: its steps, `at` milliseconds later, on the same host."""

    at: int
    scenario: str
    location: Location


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story on one host: an attack with its technique, or activity that is fine.

    `hosts` are the kinds of host it may run on.
    """

    id: str
    title: str
    label: Literal["attack", "benign"]
    hosts: tuple[HostKind, ...]
    steps: tuple[Step, ...]
    location: Location
    technique: str | None = None
    description: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def own_steps(self) -> tuple[Step, ...]:
        """The steps that none of its parts brings."""
        return tuple(step for step in self.steps if step.own)

    @property
    def size(self) -> int:
        """How many events one run makes."""
        return sum(step.repeat for step in self.steps)


def _chosen(value: Any, repetition: int) -> Any:
    if isinstance(value, dict):
        choices = value["each"]
        return choices[repetition % len(choices)]
    return value


def _filled(value: Any, host: Host) -> Any:
    if isinstance(value, str):
        return value.replace("{user}", host.user.name).replace("{host}", host.name)
    return value
