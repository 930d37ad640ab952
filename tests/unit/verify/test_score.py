"""Scores: what a release alerts on rightly, wrongly and not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.model import DetectionRule, ExceptionItem, Release
from ruledeploy.telemetry import Simulation, generate
from ruledeploy.verify.score import Score, score

HOUR = timedelta(hours=1)
PLAN = {
    "attack/apc": (HOUR,),
    "attack/renamed-svchost": (HOUR,),
    "attack/lsass-access": (HOUR,),
    "benign/edr-hooking": (HOUR,),
}
EVENTS = tuple(generate(Simulation(1, datetime(2026, 11, 23, tzinfo=UTC), scenarios=PLAN, noise=0)))

ReleaseMaker = Callable[..., Release]


def scored(release: Release) -> Score:
    """The release on the four scenarios above."""
    return score(release, EVENTS, EmbeddedEngine())


def test_alerts_are_counted_by_what_they_are(make_release: ReleaseMaker) -> None:
    """Three writes of two attacks, six of the sensor; the third attack is not the rule's."""
    found = scored(make_release())
    (rule,) = found.rules
    assert (rule.attack, rule.benign, rule.hidden) == (3, 6, 0)
    assert found.precision == rule.precision == 3 / 9
    assert found.recall == 2 / 3
    assert found.blind_techniques == ("T1003.001",)


def test_an_item_makes_a_release_more_precise(
    make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """What the item hides is counted as hidden, and no attack is lost."""
    found = scored(make_release(sensor))
    assert (found.precision, found.recall) == (1.0, 2 / 3)
    hidden = {one.scenario: one.hidden for one in found.scenarios}
    assert hidden["benign/edr-hooking"] == 6
    assert hidden["attack/renamed-svchost"] == 0


def test_an_item_can_cost_an_attack(make_release: ReleaseMaker, any_svchost: ExceptionItem) -> None:
    """A technique that an item hides altogether is a blind one."""
    found = scored(make_release(any_svchost))
    assert found.recall == 1 / 3
    assert found.blind_techniques == ("T1003.001", "T1036.005")


def test_what_one_rule_shows_is_not_hidden(
    make_release: ReleaseMaker,
    make_rule: Callable[..., DetectionRule],
    any_svchost: ExceptionItem,
) -> None:
    """An event hidden from one rule and alerted on by another is seen."""
    rules = [make_rule(), make_rule("bare", exceptions_list=[])]
    found = scored(make_release(any_svchost, rules=rules))
    (one,) = [one for one in found.scenarios if one.scenario == "attack/renamed-svchost"]
    assert (one.alerting, one.hidden) == (2, 0)


def test_an_attack_in_parts_is_seen_by_the_technique_that_alerts(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """A rule for LSASS dumps that alerts on the injection before one has not seen the dump."""
    plan = {"attack/document-to-lsass": (HOUR,)}
    start = datetime(2026, 11, 23, tzinfo=UTC)
    events = tuple(generate(Simulation(1, start, scenarios=plan, noise=0)))
    threat = [{"technique": [{"id": "T1003", "subtechnique": [{"id": "T1003.001"}]}]}]
    found = score(make_release(rules=[make_rule(threat=threat)]), events, EmbeddedEngine())
    (rule,) = found.rules
    assert rule.attack > 0
    assert (rule.claimed, rule.seen, rule.recall) == (1, 0, 0.0)
    (scenario,) = found.scenarios
    assert set(scenario.techniques) == {"T1055.002", "T1055.012", "T1003.001"}
    assert found.recall == 1.0
    assert found.blind_techniques == ("T1003.001",)


def test_nothing_has_no_share(make_release: ReleaseMaker) -> None:
    """Without alerts there is no precision, without attacks no recall; both are null in JSON."""
    plain = json.loads(json.dumps(score(make_release(), (), EmbeddedEngine()).to_json()))
    assert (plain["schema"], plain["precision"], plain["recall"]) == (1, None, None)
