"""Events as they lie in an index, and the labels kept beside synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.model.jsonvalue import JsonObject

# An event's `_source`: nested ECS JSON.
Event = JsonObject


def event_id(event: Event) -> str | None:
    """`event.id`, written nested or dotted; None when the event has none."""
    inner = event.get("event")
    found = inner.get("id") if isinstance(inner, dict) else event.get("event.id")
    return found if isinstance(found, str) else None


def value_of(event: Event, name: str) -> Any:
    """The value of a field, written nested or with dots; None when it is missing."""
    if name in event:
        return event[name]
    here: Any = event
    for part in name.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


@dataclass(frozen=True, slots=True)
class Label:
    """What a synthetic event is: the scenario that made it, and whether it is an attack."""

    event_id: str
    scenario: str
    label: Literal["attack", "benign"]
    technique: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form, one line of a label file."""
        return {
            "event_id": self.event_id,
            "scenario": self.scenario,
            "label": self.label,
            "technique": self.technique,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Label:
        """Read the plain form. Raises `KeyError` or `ValueError` for what is no label."""
        if value["label"] not in ("attack", "benign"):
            raise ValueError(f"{value['label']!r} is neither attack nor benign")
        technique = value.get("technique")
        return cls(
            str(value["event_id"]),
            str(value["scenario"]),
            value["label"],
            None if technique is None else str(technique),
        )
