"""Blind spots: attacks that an allowlist hides."""

from __future__ import annotations

from collections.abc import Callable

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.model import DetectionRule, ExceptionItem, Release
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
