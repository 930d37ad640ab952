"""Attacks that an allowlist hides: found before anybody relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ruledeploy.engine import Engine
from ruledeploy.model import DetectionRule, Finding, Release
from ruledeploy.telemetry import Emitted, Scenario, load_scenarios, scenario_events
from ruledeploy.verify.cases import SEED, START
from ruledeploy.verify.running import ItemRef, Result, bench, documents_of, summary

CODE = "hides-attack"


@dataclass(slots=True)
class _Hidden:
    """Events of one attack that one item hides from one rule, and whether others still alert."""

    example: str
    events: list[str] = field(default_factory=list)


def blind_spots(
    release: Release, engine: Engine, library: Mapping[str, Scenario] | None = None
) -> tuple[Finding, ...]:
    """A warning for each item that hides an attack which a rule would alert on.

    Runs every attack of the library, the bundled one unless given. The finding lies at the item
    and names scenario, technique and rule; it says so when no rule sees the attack any more.
    """
    scenarios = load_scenarios() if library is None else library
    tried = _try(release, engine, scenarios)
    alerting = {tried.emitted[one].label.scenario for r in tried.results for one in r.alerting}
    findings: dict[Finding, None] = {}
    for result in tried.results:
        for (item, scenario_id), hidden in _grouped(result, tried.emitted).items():
            scenario = scenarios[scenario_id]
            # An attack is seen when any part of it is.
            unseen = alerting.isdisjoint({scenario_id, *(p.scenario for p in scenario.parts)})
            findings[_finding(item, scenario, hidden, result.rule, unseen)] = None
    return tuple(sorted(findings, key=lambda one: (one.location, one.message)))


def hidden_attacks(
    release: Release, engine: Engine, library: Mapping[str, Scenario]
) -> dict[str, tuple[str, ...]]:
    """The attacks of the library that each item hides from a rule, by the item's source id."""
    tried = _try(release, engine, library)
    found: dict[str, dict[str, None]] = {}
    for result in tried.results:
        for item, scenario_id in _grouped(result, tried.emitted):
            found.setdefault(item.source_id, {})[scenario_id] = None
    return {source_id: tuple(scenarios) for source_id, scenarios in found.items()}


@dataclass(frozen=True, slots=True)
class _Tried:
    """Every attack's events by id, and what the rules and items did to them."""

    emitted: Mapping[str, Emitted]
    results: tuple[Result, ...]


def _try(release: Release, engine: Engine, library: Mapping[str, Scenario]) -> _Tried:
    # What an attack takes over from others would only be said twice.
    own = (replace(one, steps=one.own_steps) for one in library.values() if one.label == "attack")
    attacks = {one.id: one for one in own if one.steps}
    emitted = {one.label.event_id: one for one in _events(attacks, release)}
    table = bench(engine, release)
    rules, _ = table.runnable(release)
    return _Tried(emitted, table.run(release, rules, documents_of(emitted.values())))


def _events(attacks: Mapping[str, Scenario], release: Release) -> Iterable[Emitted]:
    """Every attack's events, as each shipper that a rule listens to sends them."""
    for one in attacks:
        yield from scenario_events(one, SEED, START, library=attacks)
    if any(rule.family == "winlogbeat" for rule in release.rules):
        for one in attacks:
            # Another seed gives these copies ids of their own; Defend's events are there already.
            copies = scenario_events(one, SEED + 1, START, shipper="winlogbeat", library=attacks)
            yield from (copy for copy in copies if copy.index.startswith("winlogbeat"))


def _grouped(result: Result, emitted: Mapping[str, Emitted]) -> dict[tuple[ItemRef, str], _Hidden]:
    groups: dict[tuple[ItemRef, str], _Hidden] = {}
    for event_id, items in result.hidden.items():
        one = emitted[event_id]
        for item in items:
            key = (item, one.label.scenario)
            groups.setdefault(key, _Hidden(summary(one.event))).events.append(event_id)
    return groups


def _finding(
    item: ItemRef, scenario: Scenario, hidden: _Hidden, rule: DetectionRule, unseen: bool
) -> Finding:
    count = len(hidden.events)
    events = f"{count} {'event' if count == 1 else 'events'}"
    message = (
        f"{item.source_id} ({item.name}) hides {events} of {scenario.id}"
        f" ({scenario.technique}: {scenario.title}) from {rule.name!r}, such as {hidden.example}"
    )
    if unseen:
        message += "; no rule sees this attack any more"
    return Finding(
        "warning",
        CODE,
        message,
        item.location,
        hint="ask for path and signer too, not a name alone",
    )
