"""Blind spots: attacks that an allowlist hides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.model import DetectionRule, ExceptionItem, Release
from ruledeploy.telemetry import parse_scenarios
from ruledeploy.verify.blindspots import blind_spots

ReleaseMaker = Callable[..., Release]
ItemMaker = Callable[..., ExceptionItem]


def test_an_exact_item_has_no_blind_spot(make_release: ReleaseMaker, sensor: ExceptionItem) -> None:
    """Path, signer and trust together let no bundled attack pass."""
    assert blind_spots(make_release(sensor), EmbeddedEngine()) == ()


def test_a_name_alone_hides_a_renamed_program(
    make_release: ReleaseMaker, any_svchost: ExceptionItem
) -> None:
    """The finding lies at the item and names attack, technique, rule and what is lost."""
    (finding,) = blind_spots(make_release(any_svchost), EmbeddedEngine())
    assert (finding.severity, finding.code) == ("warning", "hides-attack")
    assert str(finding.location) == "exceptions/base/trusted.yml:20"
    for part in (
        "trusted/svchost",
        "2 events of attack/renamed-svchost",
        "T1036.005",
        "'Anomalous WriteProcessMemory'",
        r"C:\Windows\Temp\svchost.exe",
        "no rule sees this attack any more",
    ):
        assert part in finding.message


def test_an_attack_that_another_rule_sees_is_not_lost(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule], any_svchost: ExceptionItem
) -> None:
    """The item still hides it from one rule, but the finding does not say that all is lost."""
    rules = [make_rule(), make_rule("bare", exceptions_list=[])]
    (finding,) = blind_spots(make_release(any_svchost, rules=rules), EmbeddedEngine())
    assert "any more" not in finding.message


def test_a_subject_without_trust_hides_a_forgery(
    make_release: ReleaseMaker, make_item: ItemMaker
) -> None:
    """A self-signed binary may claim any subject."""
    item = make_item(
        "trusted/edr", fields={"process.code_signature.subject_name": "Example EDR Ltd"}
    )
    (finding,) = blind_spots(make_release(item), EmbeddedEngine())
    assert "attack/untrusted-signature" in finding.message


MADE_UP = b"""\
id: attack/part
title: A part
label: attack
technique: T1055.004
steps:
  - {at: 0s, event: defend/write-process-memory, fields: {process.executable: 'C:\\Temp\\part.exe',
     process.Ext.api.behaviors: [cross-process]}}
---
id: attack/whole
title: The part, then a step of its own
label: attack
technique: T1055.012
parts:
  - {at: 0s, scenario: attack/part}
steps:
  - {at: 9s, event: defend/write-process-memory, fields: {process.executable: 'C:\\Temp\\own.exe',
     process.Ext.api.behaviors: [cross-process]}}
---
id: attack/sum
title: The part and nothing else
label: attack
technique: T1055
parts:
  - {at: 0s, scenario: attack/part}
"""


@pytest.mark.parametrize(
    ("program", "attack", "lost"),
    [
        ("own.exe", "attack/whole (T1055.012", False),
        ("part.exe", "attack/part (T1055.004", True),
    ],
)
def test_what_an_attack_adds_to_its_parts_is_tried(
    make_release: ReleaseMaker, make_item: ItemMaker, program: str, attack: str, *, lost: bool
) -> None:
    """Its own steps once, its parts' as the parts'; it is seen as long as a part of it is."""
    item = make_item("trusted/it", fields={"process.name.caseless": program})
    library = parse_scenarios({"scenarios/whole.yml": MADE_UP})
    (finding,) = blind_spots(make_release(item), EmbeddedEngine(), library)
    assert f"hides 1 event of {attack}" in finding.message
    assert ("any more" in finding.message) is lost


def test_winlogbeat_rules_are_tried_on_its_events(
    make_release: ReleaseMaker, make_rule: Callable[..., DetectionRule], make_item: ItemMaker
) -> None:
    """A rule on Winlogbeat's indices meets the same attacks as Winlogbeat ships them."""
    rule = make_rule(
        family="winlogbeat",
        index=["winlogbeat-*"],
        query="event.code:10 AND winlog.event_data.TargetImage:*lsass.exe",
    )
    item = make_item("trusted/dumper", fields={"process.name": "dumpit.exe"})
    (finding,) = blind_spots(make_release(item, rules=[rule]), EmbeddedEngine())
    assert "attack/lsass-access (T1003.001" in finding.message
