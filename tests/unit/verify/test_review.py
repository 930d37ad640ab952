"""Reviews: what an edit of rules and allowlists hides."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.model import DetectionRule, ExceptionItem, Release
from ruledeploy.telemetry import Emitted, attack_day
from ruledeploy.verify.changes import EnvReview, Review
from ruledeploy.verify.review import review

DAY: tuple[Emitted, ...] = tuple(attack_day(1, datetime(2026, 11, 23, tzinfo=UTC), noise=300))

ReleaseMaker = Callable[..., Release]
ItemMaker = Callable[..., ExceptionItem]


def compare(base: Release | None, head: Release | None) -> Review:
    """The review of one environment, dev."""
    before, after = ({"dev": side} if side else {} for side in (base, head))
    return review(before, after, DAY, lambda _: EmbeddedEngine())


def dev(found: Review) -> EnvReview:
    """Its only environment."""
    (env,) = found.environments
    return env


def test_no_edit_is_an_empty_review(make_release: ReleaseMaker, sensor: ExceptionItem) -> None:
    """Equal releases have no changes and need no approval."""
    found = compare(make_release(sensor), make_release(sensor))
    assert dev(found) == EnvReview("dev", "same", (), (), (), ())
    assert not found.needs_approval


def test_a_good_item_silences_what_it_names(
    make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """The added item, what it hides and the alerts before and after; no attack is lost."""
    found = compare(make_release(), make_release(sensor))
    env = dev(found)
    (change,) = env.items
    assert (change.action, change.item.source_id, change.hides) == (
        "added",
        "trusted/edr-sensor",
        (0, 6),
    )
    (impact,) = env.impacts
    assert impact.before - impact.after == len(impact.silenced) == 6
    assert {one.event.scenario for one in impact.silenced} == {"benign/edr-hooking"}
    assert {str(item) for one in impact.silenced for item in one.hidden_by} == {
        "trusted/edr-sensor (exceptions/base/trusted.yml:12)"
    }
    assert not found.needs_approval
    assert env.blinded == ()


def test_an_item_that_hides_an_attack_needs_approval(
    make_release: ReleaseMaker, any_svchost: ExceptionItem
) -> None:
    """Attacks' events that fall silent are listed with technique and item, and blinded attacks."""
    found = compare(make_release(), make_release(any_svchost))
    env = dev(found)
    assert found.needs_approval
    assert {
        (one.event.scenario, one.event.technique, one.hidden_by[0].source_id)
        for one in env.attacks_silenced
    } == {("attack/renamed-svchost", "T1036.005", "trusted/svchost")}
    assert [(one.scenario, one.technique) for one in env.blinded] == [
        ("attack/renamed-svchost", "T1036.005")
    ]


def test_removing_an_item_begins_alerts(make_release: ReleaseMaker, sensor: ExceptionItem) -> None:
    """What the item hid alerts again, by name."""
    (impact,) = dev(compare(make_release(sensor), make_release())).impacts
    assert {note.scenario for note in impact.began} == {"benign/edr-hooking"}
    assert impact.silenced == ()


def test_items_of_one_source_are_one_change(
    make_release: ReleaseMaker, make_item: ItemMaker
) -> None:
    """A list of patterns becomes several items in Kibana and stays one item to the reviewer."""
    first, second, third = (
        make_item("trusted/tools", 3, f"#{n}", fields={"process.name.caseless": f"tool{n}.exe"})
        for n in (1, 2, 3)
    )
    (change,) = dev(compare(make_release(first, second), make_release(first, third))).items
    assert change.action == "changed"
    assert change.detection
    assert [len(side) for side in change.entries] == [2, 2]


def test_new_words_are_no_change_of_detection(
    make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """A reworded item is reported as such; nothing else changes."""
    reworded = replace(sensor, body={**sensor.body, "description": "another reason"})
    env = dev(compare(make_release(sensor), make_release(reworded)))
    assert [(one.action, one.detection) for one in env.items] == [("changed", False)]
    assert env.impacts == ()


def test_an_item_that_has_expired_hides_nothing(
    make_release: ReleaseMaker, make_item: ItemMaker
) -> None:
    """The releases' day decides."""
    fields = {"process.name.caseless": "svchost.exe"}
    expired = make_item("trusted/svchost", fields=fields, expire_time="2026-11-01T00:00:00.000Z")
    assert dev(compare(make_release(), make_release(expired))).impacts == ()


def test_a_rule_that_sees_less_is_told_without_an_item(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """When a query is narrowed, the attacks it loses are silenced by no item."""
    narrow = make_rule(query="process.Ext.api.behaviors:direct_syscall")
    found = compare(make_release(), make_release(rules=[narrow]))
    (change,) = dev(found).rules
    assert (change.action, change.fields, change.detection) == ("changed", ("query",), True)
    assert found.needs_approval
    assert all(one.hidden_by == () for one in dev(found).attacks_silenced)
    assert "attack/apc" in {one.scenario for one in dev(found).blinded}


def test_a_rule_switched_off_is_a_rule_that_sees_nothing(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """`enabled: false` silences as deleting does."""
    off = make_release(rules=[make_rule(enabled=False)])
    gone = make_release(rules=[])
    silent = [
        [one.event.event_id for one in dev(compare(make_release(), head)).attacks_silenced]
        for head in (off, gone)
    ]
    assert silent[0] == silent[1] != []


def test_a_renamed_rule_is_cosmetic(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """Words and tags of a rule have no part in what it detects."""
    renamed = make_release(rules=[make_rule(name="Another name", tags=["x"])])
    (change,) = dev(compare(make_release(), renamed)).rules
    assert (change.detection, change.fields) == (False, ("name", "tags"))


def test_environments_come_and_go(make_release: ReleaseMaker) -> None:
    """An environment on one side alone is added or removed."""
    assert dev(compare(None, make_release())).action == "added"
    gone = compare(make_release(), None)
    assert dev(gone).action == "removed"
    assert gone.needs_approval


def test_rules_that_cannot_be_tried_are_named(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule]
) -> None:
    """A review that could not try a rule says so, and tries the others."""
    sequence = "sequence [any where true] [any where true]"
    rules = [make_rule(), make_rule("eql", language="eql", type="eql", query=sequence)]
    (finding,) = dev(compare(make_release(), make_release(rules=rules))).findings
    assert (finding.code, finding.location.path) == ("not-evaluated", "rules/write.yml")


def test_the_plain_form_is_json(make_release: ReleaseMaker, any_svchost: ExceptionItem) -> None:
    """Schema, approval and each silenced attack can be read from the JSON alone."""
    plain = json.loads(json.dumps(compare(make_release(), make_release(any_svchost)).to_json()))
    assert (plain["schema"], plain["needs_approval"], plain["events"]) == (1, True, len(DAY))
    (env,) = plain["environments"]
    silenced = env["attacks_silenced"][0]
    assert silenced["scenario"] == "attack/renamed-svchost"
    assert silenced["hidden_by"] == [
        {
            "source_id": "trusted/svchost",
            "name": "svchost",
            "path": "exceptions/base/trusted.yml",
            "line": 20,
        }
    ]
