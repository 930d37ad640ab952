"""What an edit hides: the releases of two commits, item by item, rule by rule, event by event.

`review` compares per environment; a reviewer reads from it which allowlist items and rules
change, and on the events of a simulated day which alerts fall silent or begin. An attack that
falls silent is what the review exists for: it makes `needs_approval` true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ruledeploy.engine import Document, Engine
from ruledeploy.model import DetectionRule, ExceptionItem, Finding, Label, Release, canonical
from ruledeploy.telemetry import Emitted
from ruledeploy.verify.changes import (
    Action,
    Blinded,
    EnvReview,
    ItemChange,
    Review,
    RuleChange,
    RuleImpact,
    Silenced,
)
from ruledeploy.verify.running import EventNote, Result, bench, documents_of, item_ref, note

# What of an item decides which events it hides; the rest is for people.
_DECIDES = ("entries", "os_types", "expire_time")
_WORDS = ("name", "description", "tags")
# What of a rule has no part in what it alerts on.
_COSMETIC = frozenset({"meta", "version", "name", "description", "tags", "note", "author"})

_Results = Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class _Run:
    """Results by rule id, and which rules could not be tried."""

    results: _Results
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Material:
    """The events, as documents and by id with their labels, and engines to run rules with."""

    documents: tuple[Document, ...]
    by_id: Mapping[str, tuple[Document, Label]]
    engine_of: Callable[[str], Engine]

    def notes(self, ids: Iterable[str]) -> tuple[EventNote, ...]:
        """Notes of some ids, in the order of the events."""
        wanted = set(ids)
        return tuple(
            note(one.id, one.source, self.by_id[one.id][1])
            for one in self.documents
            if one.id in wanted
        )


def review(
    base: Mapping[str, Release],
    head: Mapping[str, Release],
    events: Iterable[Emitted],
    engine_of: Callable[[str], Engine],
) -> Review:
    """Compare the releases of each environment, on labelled events such as an attack day's.

    Each environment has an engine, since each may have its own field tables.
    """
    emitted = tuple(events)
    documents = documents_of(emitted)
    labels = {one.label.event_id: one.label for one in emitted}
    by_id = {one.id: (one, labels[one.id]) for one in documents}
    material = _Material(documents, by_id, engine_of)
    envs = tuple(
        _review_env(name, base.get(name), head.get(name), material)
        for name in sorted({*base, *head})
    )
    return Review(len(documents), envs)


def _review_env(
    name: str, base: Release | None, head: Release | None, material: _Material
) -> EnvReview:
    action: Action | Literal["same"] = "same"
    if base is None or head is None:
        action = "added" if base is None else "removed"
    today = (head or base or Release(name, "1970-01-01")).date
    before = base or Release(name, today)
    after = head or Release(name, today)
    was = _run(before, material)
    now = was if before == after else _run(after, material)
    return EnvReview(
        env=name,
        action=action,
        items=_item_changes(before, after, was.results, now.results),
        rules=_rule_changes(before, after),
        impacts=_impacts(was.results, now.results, material),
        blinded=_blinded(was.results, now.results, material),
        findings=now.findings,
    )


def _run(release: Release, material: _Material) -> _Run:
    """Results by rule id. A rule that is switched off alerts on nothing, so it has none."""
    table = bench(material.engine_of(release.env), release)
    rules, findings = table.runnable(release)
    results = table.run(release, rules, material.documents)
    return _Run({result.rule.rule_id: result for result in results}, findings)


def _item_changes(
    before: Release, after: Release, was: _Results, now: _Results
) -> tuple[ItemChange, ...]:
    """Changes of source items, by id; what one became in Kibana is compared as a whole."""
    old, new = _by_source(before.items), _by_source(after.items)
    changes = []
    for source_id in sorted({*old, *new}):
        a, b = old.get(source_id, ()), new.get(source_id, ())
        detection = _essence(a, _DECIDES) != _essence(b, _DECIDES)
        if not detection and _essence(a, _WORDS) == _essence(b, _WORDS):
            continue
        changes.append(
            ItemChange(
                action="changed" if a and b else "added" if b else "removed",
                item=item_ref((b or a)[0]),
                detection=detection,
                entries=(_entries(a), _entries(b)),
                hides=(_hides(source_id, was), _hides(source_id, now)),
            )
        )
    return tuple(changes)


def _by_source(items: Sequence[ExceptionItem]) -> dict[str, tuple[ExceptionItem, ...]]:
    found: dict[str, tuple[ExceptionItem, ...]] = {}
    for item in items:
        source_id = item.provenance.source_id
        found[source_id] = (*found.get(source_id, ()), item)
    return found


def _essence(items: Sequence[ExceptionItem], keys: Sequence[str]) -> list[str]:
    return sorted(canonical({key: item.body.get(key) for key in keys}) for item in items)


def _entries(items: Sequence[ExceptionItem]) -> list[Any]:
    return sorted((item.body.get("entries", []) for item in items), key=canonical)


def _hides(source_id: str, results: _Results) -> int:
    """How many events an item hides from any rule."""
    return len(
        {
            event_id
            for result in results.values()
            for event_id, items in result.hidden.items()
            if any(item.source_id == source_id for item in items)
        }
    )


def _rule_changes(before: Release, after: Release) -> tuple[RuleChange, ...]:
    old = {rule.rule_id: rule for rule in before.rules}
    new = {rule.rule_id: rule for rule in after.rules}
    changes = []
    for rule_id in sorted({*old, *new}):
        a, b = old.get(rule_id), new.get(rule_id)
        rule = b or a
        fields = _differing(a, b)
        if rule is None or not fields:
            continue
        changes.append(
            RuleChange(
                action="changed" if a and b else "added" if b else "removed",
                rule_id=rule_id,
                name=rule.name,
                detection=not _COSMETIC.issuperset(fields),
                fields=fields,
                path=rule.provenance.path,
                line=rule.provenance.line,
            )
        )
    return tuple(changes)


def _differing(a: DetectionRule | None, b: DetectionRule | None) -> tuple[str, ...]:
    old, new = (a.body if a else {}), (b.body if b else {})
    return tuple(key for key in sorted({*old, *new}) if old.get(key) != new.get(key))


def _impacts(was: _Results, now: _Results, material: _Material) -> tuple[RuleImpact, ...]:
    """What changes for each rule whose alerts change, by rule id."""
    impacts = []
    for rule_id in sorted({*was, *now}):
        old, new = was.get(rule_id), now.get(rule_id)
        known = new or old
        before, after = set(old.alerting if old else ()), set(new.alerting if new else ())
        if known is None or before == after:
            continue
        name = known.rule.name
        hidden = new.hidden if new else {}
        silenced = tuple(
            Silenced(name, event, hidden.get(event.event_id, ()))
            for event in material.notes(before - after)
        )
        began = material.notes(after - before)
        impacts.append(RuleImpact(rule_id, name, len(before), len(after), silenced, began))
    return tuple(impacts)


def _blinded(was: _Results, now: _Results, material: _Material) -> tuple[Blinded, ...]:
    """Attacks that alerted before the edit and do not alert at all after it."""
    seen, still = (
        {
            (label.scenario, label.technique)
            for result in results.values()
            for event_id in result.alerting
            if (label := material.by_id[event_id][1]).label == "attack"
        }
        for results in (was, now)
    )
    lost = sorted(seen - still, key=lambda one: (one[0], one[1] or ""))
    return tuple(Blinded(scenario, technique) for scenario, technique in lost)
