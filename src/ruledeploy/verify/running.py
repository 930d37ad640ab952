"""Running a release's rules over events in memory: what alerts, and which item hides what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from ruledeploy.engine import Document, Engine, EngineRule, Memory
from ruledeploy.errors import Location, Problems, QueryError, UsageError
from ruledeploy.model import (
    DetectionRule,
    Event,
    ExceptionItem,
    Finding,
    Label,
    Release,
    canonical,
    value_of,
)
from ruledeploy.query.esql import parse_esql
from ruledeploy.telemetry import Emitted

# Kinds of rule that look at one event at a time.
_SINGLE = frozenset({"query", "saved_query", "esql", "eql"})


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An allowlist item as its author knows it: `<overlay id>/<item id>`, name and place.

    One source item may be several items in Kibana (families, patterns); they are one here.
    """

    source_id: str
    name: str
    location: Location

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "source_id": self.source_id,
            "name": self.name,
            "path": self.location.path,
            "line": self.location.line,
        }

    def __str__(self) -> str:
        """Render as `source id (path:line)`."""
        return f"{self.source_id} ({self.location})"


@dataclass(frozen=True, slots=True)
class Result:
    """What one rule does to the events: ids that alert, and the items that hide each other id.

    `groups` is the number of rows of a rule that groups events: each alerts, and no event does.
    """

    rule: DetectionRule
    alerting: tuple[str, ...]
    hidden: Mapping[str, tuple[ItemRef, ...]]
    groups: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """An engine and the moment at which items are looked at (expired ones hide nothing).

    `pulled` are the environment's own field tables by family, as JSON.
    """

    engine: Engine
    now: datetime
    pulled: Mapping[str, str] = field(default_factory=dict)
    # What was found out about each rule, since every case of a rule asks again.
    _obstacles: dict[str, str | None] = field(default_factory=dict, compare=False)

    def run(
        self, release: Release, rules: Sequence[DetectionRule], documents: Sequence[Document]
    ) -> tuple[Result, ...]:
        """One `Result` per rule, in order, over all documents whatever their time.

        Raises `QueryError` for a rule that the engine cannot run; `runnable` tells which can.
        """
        wanted = [engine_rule(release, rule) for rule in rules]
        hits = self.engine.run(wanted, Memory(documents), None, self.now)
        refs = {item.item_id: item_ref(item) for item in release.items}
        return tuple(
            Result(
                rule,
                hits[rule.rule_id].event_ids,
                _hidden(hits[rule.rule_id].suppressed, refs),
                len(hits[rule.rule_id].rows),
            )
            for rule in rules
        )

    def runnable(self, release: Release) -> tuple[tuple[DetectionRule, ...], tuple[Finding, ...]]:
        """The rules that are on and can be run here, and why others cannot.

        What decides on several events together (EQL sequences, thresholds, new terms) cannot: an
        answer for one event would be a guess.
        """
        good: list[DetectionRule] = []
        findings: list[Finding] = []
        for rule in release.rules:
            if rule.body.get("enabled") is False:
                continue
            reason = self.obstacle(release, rule)
            if reason is None:
                good.append(rule)
            else:
                place = Location(rule.provenance.path, rule.provenance.line)
                message = f"{rule.name!r} is not tried on events: {reason}"
                findings.append(Finding("info", "not-evaluated", message, place))
        return tuple(good), tuple(findings)

    def obstacle(self, release: Release, rule: DetectionRule) -> str | None:
        """Why the engine cannot run a rule, or None when it can."""
        items = [item.item_id for item in release.items_of(rule)]
        key = canonical({"rule": rule.body, "items": items})
        if key not in self._obstacles:
            self._obstacles[key] = self._find_obstacle(release, rule)
        return self._obstacles[key]

    def _find_obstacle(self, release: Release, rule: DetectionRule) -> str | None:
        kind = str(rule.body.get("type", "query"))
        if kind not in _SINGLE:
            return f"a rule of type {kind} does not decide event by event"
        try:
            self.engine.run([engine_rule(release, rule)], Memory(()), None, self.now)
        except QueryError as error:
            return error.message
        except Problems as problems:
            return "; ".join(error.message for error in problems.errors)
        return None


def bench(engine: Engine, release: Release, pulled: Mapping[str, str] | None = None) -> Bench:
    """A bench at the beginning of the day that the release was compiled for."""
    day = datetime.fromisoformat(release.date).replace(tzinfo=UTC)
    return Bench(engine, day, pulled or {})


def refuse_unknown(text: str, *releases: Release) -> None:
    """Raise `UsageError` when no rule has the text in its name: that would read as "no alerts"."""
    names = dict.fromkeys(rule.name for release in releases for rule in release.rules)
    if any(text.lower() in name.lower() for name in names):
        return
    near = get_close_matches(text, names, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}?" if near else "ruledeploy convert  shows the rules there are"
    raise UsageError(f"no rule has {text!r} in its name", hint=hint)


def groups_events(rule: DetectionRule) -> bool:
    """Whether a rule alerts for groups of events, not for events."""
    return rule.body.get("language") == "esql" and parse_esql(str(rule.body["query"])).aggregates


def item_ref(item: ExceptionItem) -> ItemRef:
    """The source item that an item of a release comes from."""
    place = Location(item.provenance.path, item.provenance.line)
    return ItemRef(item.provenance.source_id, str(item.body.get("name", "")), place)


def engine_rule(release: Release, rule: DetectionRule) -> EngineRule:
    """The rule with the items of its lists, as the engine takes it."""
    body = rule.body
    return EngineRule(
        rule_id=rule.rule_id,
        language=str(body["language"]),
        query=str(body["query"]),
        index=tuple(body.get("index", ())),
        items=tuple(item.body for item in release.items_of(rule)),
        timestamp_field=str(body.get("timestamp_override", "@timestamp")),
        value_lists={str(one.body["id"]): one.values for one in release.value_lists},
    )


def documents_of(events: Iterable[Emitted]) -> tuple[Document, ...]:
    """Synthetic events as documents; the id is the event's own."""
    return tuple(Document(one.index, one.label.event_id, one.event) for one in events)


@dataclass(frozen=True, slots=True)
class EventNote:
    """Enough of an event to recognise it: id, what it is, and one line that tells the story."""

    event_id: str
    summary: str
    scenario: str | None = None
    label: str | None = None
    technique: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "event_id": self.event_id,
            "summary": self.summary,
            "scenario": self.scenario,
            "label": self.label,
            "technique": self.technique,
        }


def note(event_id: str, event: Event, label: Label | None = None) -> EventNote:
    """The note of an event; its label, when it is a synthetic one, says what it is."""
    if label is None:
        return EventNote(event_id, summary(event))
    return EventNote(event_id, summary(event), label.scenario, label.label, label.technique)


def summary(event: Event) -> str:
    """One line of an event: who did what, as far as it says."""
    who = value_of(event, "process.executable") or value_of(event, "process.name") or "an event"
    what = (
        value_of(event, "process.Ext.api.summary")
        or value_of(event, "winlog.event_data.TargetImage")
        or value_of(event, "dll.path")
        or value_of(event, "file.path")
        or value_of(event, "event.action")
    )
    return f"{who}: {what}" if what else str(who)


def _hidden(
    suppressed: Mapping[str, Iterable[str]], refs: Mapping[str, ItemRef]
) -> dict[str, tuple[ItemRef, ...]]:
    """Item id → event ids, turned round to event id → source items, each once."""
    found: dict[str, dict[ItemRef, None]] = {}
    for item_id in sorted(suppressed, key=lambda one: refs[one].source_id):
        for event_id in suppressed[item_id]:
            found.setdefault(event_id, {})[refs[item_id]] = None
    return {event_id: tuple(items) for event_id, items in found.items()}
