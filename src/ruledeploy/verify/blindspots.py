"""Attacks that an allowlist hides: found before anybody relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    attacks = [one for one in scenarios.values() if one.label == "attack"]
    emitted = {one.label.event_id: one for one in _events(attacks, scenarios, release)}
    table = bench(engine, release)
    rules, _ = table.runnable(release)
    results = table.run(release, rules, documents_of(emitted.values()))
    seen = {emitted[one].label.scenario for result in results for one in result.alerting}
    findings: dict[Finding, None] = {}
    for result in results:
        for (item, scenario_id), hidden in _grouped(result, emitted).items():
            scenario = scenarios[scenario_id]
            unseen = scenario_id not in seen
            findings[_finding(item, scenario, hidden, result.rule, unseen)] = None
    return tuple(sorted(findings, key=lambda one: (one.location, one.message)))


def _events(
    attacks: Iterable[Scenario], library: Mapping[str, Scenario], release: Release
) -> Iterable[Emitted]:
    """Every attack's events, as each shipper that a rule listens to sends them."""
    for scenario in attacks:
        yield from scenario_events(scenario.id, SEED, START, library=library)
    if any(rule.family == "winlogbeat" for rule in release.rules):
        for scenario in attacks:
            # Another seed gives these copies ids of their own; Defend's events are there already.
            copies = scenario_events(
                scenario.id, SEED + 1, START, shipper="winlogbeat", library=library
            )
            yield from (one for one in copies if one.index.startswith("winlogbeat"))


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
    events = "event" if count == 1 else f"{count} events"
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
