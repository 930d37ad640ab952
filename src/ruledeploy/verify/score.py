"""How good a release is on labelled events: what it alerts on rightly, wrongly, and not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ruledeploy.engine import Engine
from ruledeploy.model import DetectionRule, Finding, Label, Release
from ruledeploy.telemetry import Emitted
from ruledeploy.verify.running import Result, bench, documents_of

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ScenarioScore:
    """One scenario's events: how many there were, alerted on by any rule, and hidden from all.

    `techniques` tells for each how many of its events alert: one made of parts has several.
    """

    scenario: str
    label: str
    techniques: Mapping[str, int]
    events: int
    alerting: int
    hidden: int

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "scenario": self.scenario,
            "label": self.label,
            "techniques": dict(self.techniques),
            "events": self.events,
            "alerting": self.alerting,
            "hidden": self.hidden,
        }


@dataclass(frozen=True, slots=True)
class RuleScore:
    """One rule's alerts, by what the events truly were.

    Of the attacks whose technique the rule claims (by its `threat`, sub-techniques included) there
    were `claimed`, and the rule alerted on `seen` of them by an event of such a technique.
    """

    rule_id: str
    name: str
    attack: int
    benign: int
    hidden: int
    claimed: int
    seen: int

    @property
    def precision(self) -> float | None:
        """The share of alerts that are attacks; None without alerts."""
        return _share(self.attack, self.attack + self.benign)

    @property
    def recall(self) -> float | None:
        """The share of the attacks it claims that it alerts on; None when there was none."""
        return _share(self.seen, self.claimed)

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "rule_id": self.rule_id,
            "name": self.name,
            "attack": self.attack,
            "benign": self.benign,
            "hidden": self.hidden,
            "claimed": self.claimed,
            "seen": self.seen,
            "precision": self.precision,
            "recall": self.recall,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """A release on labelled events. `findings` name the rules that could not be tried."""

    env: str
    rules: tuple[RuleScore, ...]
    scenarios: tuple[ScenarioScore, ...]
    findings: tuple[Finding, ...]

    @property
    def precision(self) -> float | None:
        """The share of all rules' alerts that are attacks; None without alerts."""
        attack = sum(rule.attack for rule in self.rules)
        return _share(attack, attack + sum(rule.benign for rule in self.rules))

    @property
    def recall(self) -> float | None:
        """The share of attacks that any rule alerts on at least once; None without attacks."""
        return _share(sum(one.alerting > 0 for one in self._attacks), len(self._attacks))

    @property
    def blind_techniques(self) -> tuple[str, ...]:
        """Techniques of which no event of any attack alerts, sorted."""
        alerting: Counter[str] = Counter()
        for one in self._attacks:
            alerting.update(one.techniques)
        return tuple(sorted(technique for technique, count in alerting.items() if not count))

    @property
    def _attacks(self) -> tuple[ScenarioScore, ...]:
        return tuple(one for one in self.scenarios if one.label == "attack")

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        return {
            "schema": SCHEMA,
            "env": self.env,
            "precision": self.precision,
            "recall": self.recall,
            "blind_techniques": list(self.blind_techniques),
            "rules": [one.to_json() for one in self.rules],
            "scenarios": [one.to_json() for one in self.scenarios],
            "findings": [one.to_json() for one in self.findings],
        }


def score(release: Release, events: Iterable[Emitted], engine: Engine) -> Score:
    """Score a release on events such as an attack day's and a benign day's."""
    emitted = tuple(events)
    labels = {one.label.event_id: one.label for one in emitted}
    table = bench(engine, release)
    rules, findings = table.runnable(release)
    results = table.run(release, rules, documents_of(emitted))
    return Score(
        env=release.env,
        rules=tuple(_rule(result, labels) for result in results),
        scenarios=_scenarios(results, labels.values()),
        findings=findings,
    )


def _rule(result: Result, labels: dict[str, Label]) -> RuleScore:
    found = Counter(labels[one].label for one in result.alerting)
    rule = result.rule
    claims = _claims(rule)

    def claimed(some: Iterable[Label]) -> set[str]:
        """The attacks that do, by one of these events, what the rule claims to see."""
        return {
            one.scenario
            for one in some
            if one.label == "attack" and _is_claimed(one.technique, claims)
        }

    return RuleScore(
        rule.rule_id,
        rule.name,
        found["attack"],
        found["benign"],
        len(result.hidden),
        claimed=len(claimed(labels.values())),
        seen=len(claimed(labels[one] for one in result.alerting)),
    )


def _claims(rule: DetectionRule) -> frozenset[str]:
    """The most precise techniques that a rule's `threat` names."""
    found: set[str] = set()
    for threat in rule.body.get("threat", ()):
        for technique in threat.get("technique", ()):
            below = [one["id"] for one in technique.get("subtechnique", ())]
            found.update(below or [technique["id"]])
    return frozenset(found)


def _is_claimed(technique: str | None, claims: frozenset[str]) -> bool:
    return technique is not None and bool(claims & {technique, technique.partition(".")[0]})


def _scenarios(results: Iterable[Result], labels: Iterable[Label]) -> tuple[ScenarioScore, ...]:
    alerting: set[str] = set()
    hidden: set[str] = set()
    for result in results:
        alerting.update(result.alerting)
        hidden.update(result.hidden)
    hidden -= alerting
    groups: dict[str, list[Label]] = {}
    for label in labels:
        groups.setdefault(label.scenario, []).append(label)
    return tuple(
        ScenarioScore(
            scenario=scenario,
            label=group[0].label,
            techniques=_techniques(group, alerting),
            events=len(group),
            alerting=sum(one.event_id in alerting for one in group),
            hidden=sum(one.event_id in hidden for one in group),
        )
        for scenario, group in sorted(groups.items())
    )


def _techniques(labels: Iterable[Label], alerting: Container[str]) -> dict[str, int]:
    """How many events of each technique alert, sorted by technique."""
    counts: Counter[str] = Counter()
    for one in labels:
        if one.technique is not None:
            counts[one.technique] += one.event_id in alerting
    return dict(sorted(counts.items()))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
