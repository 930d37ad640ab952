"""What a review says: frozen values with a plain form, one for each thing a reviewer looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.model import Finding
from ruledeploy.verify.running import EventNote, ItemRef

SCHEMA = 1

Action = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One source item that the edit adds, removes or changes.

    `detection` is False when only its wording changes. `entries` are its conditions in Kibana
    before and after, one list per item that it became there. `hides` counts the events it hides.
    """

    action: Action
    item: ItemRef
    detection: bool
    entries: tuple[list[Any], list[Any]]
    hides: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "action": self.action,
            **self.item.to_json(),
            "detection": self.detection,
            "entries": {"before": self.entries[0], "after": self.entries[1]},
            "hides": {"before": self.hides[0], "after": self.hides[1]},
        }


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that the edit adds, removes or changes; `fields` are the names that differ."""

    action: Action
    rule_id: str
    name: str
    detection: bool
    fields: tuple[str, ...]
    path: str
    line: int

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "action": self.action,
            "rule_id": self.rule_id,
            "name": self.name,
            "detection": self.detection,
            "fields": list(self.fields),
            "path": self.path,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class Silenced:
    """An event that alerted before and no longer does; without items, the rule changed."""

    rule: str
    event: EventNote
    hidden_by: tuple[ItemRef, ...]

    @property
    def attack(self) -> bool:
        """Whether the event belongs to an attack."""
        return self.event.label == "attack"

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "rule": self.rule,
            **self.event.to_json(),
            "hidden_by": [item.to_json() for item in self.hidden_by],
        }


@dataclass(frozen=True, slots=True)
class RuleImpact:
    """What the edit does to one rule's alerts on the events."""

    rule_id: str
    name: str
    before: int
    after: int
    silenced: tuple[Silenced, ...]
    began: tuple[EventNote, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "rule_id": self.rule_id,
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "silenced": [one.to_json() for one in self.silenced],
            "began": [one.to_json() for one in self.began],
        }


@dataclass(frozen=True, slots=True)
class Blinded:
    """An attack that some rule saw before the edit and none sees after it."""

    scenario: str
    technique: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {"scenario": self.scenario, "technique": self.technique}


@dataclass(frozen=True, slots=True)
class EnvReview:
    """The review of one environment.

    `findings` name the rules that could not be tried, so that silence about them is not taken
    for an all-clear.
    """

    env: str
    action: Action | Literal["same"]
    items: tuple[ItemChange, ...]
    rules: tuple[RuleChange, ...]
    impacts: tuple[RuleImpact, ...]
    blinded: tuple[Blinded, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def attacks_silenced(self) -> tuple[Silenced, ...]:
        """Every event of an attack that no longer alerts."""
        return tuple(one for impact in self.impacts for one in impact.silenced if one.attack)

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "env": self.env,
            "action": self.action,
            "items": [one.to_json() for one in self.items],
            "rules": [one.to_json() for one in self.rules],
            "impacts": [one.to_json() for one in self.impacts],
            "attacks_silenced": [one.to_json() for one in self.attacks_silenced],
            "blinded": [one.to_json() for one in self.blinded],
            "findings": [one.to_json() for one in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Review:
    """What an edit does, per environment; `events` is how many it was tried on."""

    events: int
    environments: tuple[EnvReview, ...]

    @property
    def needs_approval(self) -> bool:
        """Whether any attack's event falls silent anywhere."""
        return any(one.attacks_silenced for one in self.environments)

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        return {
            "schema": SCHEMA,
            "events": self.events,
            "needs_approval": self.needs_approval,
            "environments": [one.to_json() for one in self.environments],
        }
