"""Events look as their shippers send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ruledeploy.fields import family_of, load_table
from ruledeploy.telemetry import (
    Emitted,
    attack_day,
    benign_day,
    load_scenarios,
    parse_scenarios,
    scenario_events,
)
from ruledeploy.telemetry.noise import NOISE
from ruledeploy.telemetry.programs import TRUSTED_WRITERS
from ruledeploy.telemetry.scene import Shipper
from ruledeploy.telemetry.validate import UNMAPPED, leaves, problems

START = datetime(2026, 11, 23, tzinfo=UTC)
SHIPPERS: tuple[Shipper, ...] = ("integration", "winlogbeat")


def everything(shipper: Shipper = "integration") -> Iterator[Emitted]:
    """Every event of an attack day and a benign day."""
    yield from attack_day(3, START, noise=600, shipper=shipper)
    yield from benign_day(4, START, noise=600, shipper=shipper)


def leaf(event: Any, name: str) -> Any:
    """The value of a dotted field, or None."""
    for part in name.split("."):
        event = event.get(part) if isinstance(event, dict) else None
    return event


def api_events(name: str = "WriteProcessMemory") -> list[Any]:
    """The Defend API events of one call."""
    found = (one.event for one in everything() if "events.api" in one.index)
    return [event for event in found if leaf(event, "process.Ext.api.name") == name]


@pytest.mark.parametrize("shipper", SHIPPERS)
def test_every_field_fits_the_mappings_of_its_family(shipper: Shipper) -> None:
    """All documents hold known fields (or documented unmapped ones) of the right JSON type."""
    for one in everything(shipper):
        assert problems(one.event, load_table(family_of(one.index))) == [], one.label


def shapes(emitted: Iterable[Emitted]) -> set[tuple[str, str]]:
    """Family, and dataset or Sysmon's event id, of events."""
    return {
        (
            family_of(one.index),
            str(leaf(one.event, "event.code") or leaf(one.event, "event.dataset")),
        )
        for one in emitted
    }


DEFEND = {(f"endpoint-{kind}", f"endpoint.events.{kind}") for kind in ("api", "process", "library")}
SYSMON = ("1", "7", "8", "10")


@pytest.mark.parametrize(
    ("shipper", "family"), [("integration", "sysmon-integration"), ("winlogbeat", "winlogbeat")]
)
def test_no_shape_is_missing_among_them(shipper: Shipper, family: str) -> None:
    """Defend's API, process and library events; Sysmon 1, 7, 8 and 10 of this shipper."""
    assert shapes(everything(shipper)) == DEFEND | {(family, code) for code in SYSMON}


def test_no_scenario_is_missing_among_them() -> None:
    """Every bundled one, so that the test above has seen its events."""
    assert {one.label.scenario for one in everything()} == {*load_scenarios(), NOISE}


def test_unmapped_fields_are_truly_unmapped() -> None:
    """The list of exceptions holds nothing that a table knows."""
    for family, names in UNMAPPED.items():
        assert [name for name in names if load_table(family).get(name)] == []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"process": {"pid": "4"}}, "process.pid is long"),
        ({"process": {"pid": True}}, "process.pid is long"),
        ({"process": {"unknown": 1}}, "process.unknown is not a field"),
        ({"host": {"ip": ["10.0.0.1", "10.0.0.256"]}}, "host.ip is ip"),
        ({"@timestamp": "yesterday"}, "@timestamp is date"),
        ({"process": {"code_signature": {"trusted": "true"}}}, "trusted is boolean"),
    ],
)
def test_what_does_not_fit_is_named(event: dict[str, Any], said: str) -> None:
    """The check behind the test above finds each kind of mistake."""
    (problem,) = problems(event, load_table("endpoint-api"))
    assert said in problem


def test_api_events_are_categorised_as_defend_does() -> None:
    """Category is api and intrusion_detection, type change, and there is no action."""
    for event in api_events():
        assert event["event"]["category"] == ["api", "intrusion_detection"]
        assert event["event"]["type"] == ["change"]
        assert "action" not in event["event"]
        assert event["event"]["provider"] == "Microsoft-Windows-Threat-Intelligence"
        assert event["message"] == "Endpoint API event - WriteProcessMemory"


def test_a_write_into_another_process_is_summed_up() -> None:
    """The summary names target, place and size in hexadecimal, as the parameters do."""
    event = scenario_events("attack/prototype", 1, START)[1].event
    api = leaf(event, "process.Ext.api")
    assert api["summary"] == "WriteProcessMemory( notepad.exe, Unbacked, 0x1f8 )"
    assert api["parameters"]["size"] == 0x1F8
    assert "cross-process" in api["behaviors"]


def test_a_write_into_itself_says_so() -> None:
    """Self is the target, data the place; no behaviour is reported and the pids agree."""
    own = [e for e in api_events() if "( Self, " in leaf(e, "process.Ext.api.summary")]
    assert own
    for event in own:
        assert leaf(event, "process.Ext.api.behaviors") is None
        assert leaf(event, "Target.process.pid") == leaf(event, "process.pid")


def test_paths_come_in_every_spelling() -> None:
    """Drive letters, device paths and lower case all occur among the writers."""
    paths = {leaf(event, "process.executable") for event in api_events()}
    assert any(path.startswith("\\Device\\HarddiskVolume3\\") for path in paths)
    assert any(path.startswith("C:\\") for path in paths)
    assert any(path == path.lower() for path in paths)


def test_some_targets_are_known_by_pid_alone() -> None:
    """An event may lack the target's name and path."""
    (one,) = scenario_events("attack/unknown-target", 1, START)
    assert leaf(one.event, "Target.process") == {"pid": 7316}
    assert leaf(one.event, "process.Ext.api.summary").startswith("WriteProcessMemory( 7316, ")


def test_unsigned_is_exists_false_alone() -> None:
    """A program without a signature has no subject, status or trust, nested form included."""
    event = scenario_events("attack/prototype", 1, START)[1].event
    assert leaf(event, "process.code_signature") == {"exists": False}
    assert leaf(event, "process.Ext.code_signature") == [{"exists": False}]


def test_a_borrowed_name_has_no_signature() -> None:
    """svchost.exe in a temporary folder is unsigned; the one in System32 is Microsoft's."""
    fake = scenario_events("attack/renamed-svchost", 1, START)[1].event
    true = scenario_events("benign/windows-core", 1, START)[0].event
    assert leaf(fake, "process.name") == leaf(true, "process.name") == "svchost.exe"
    assert leaf(fake, "process.code_signature.exists") is False
    assert leaf(true, "process.code_signature.subject_name") == "Microsoft Windows Publisher"


def test_some_events_arrive_minutes_late() -> None:
    """`event.ingested` follows the event, by seconds as a rule and by minutes at times."""
    waits = []
    for one in everything():
        at, arrived = (
            datetime.fromisoformat(leaf(one.event, name))
            for name in ("@timestamp", "event.ingested")
        )
        waits.append((arrived - at).total_seconds())
    assert min(waits) > 0
    assert 0 < sum(wait >= 120 for wait in waits) < len(waits) / 10


def test_every_trusted_writer_writes_on_a_benign_day() -> None:
    """All 23 programs that a base allowlist trusts write into another process, truly signed."""
    assert len(TRUSTED_WRITERS) == 23
    signers = {}
    for one in benign_day(4, START, noise=0):
        if "cross-process" in (leaf(one.event, "process.Ext.api.behaviors") or ()):
            path = leaf(one.event, "process.executable")
            signers[path] = leaf(one.event, "process.code_signature.subject_name")
    assert {p.path: p.signer for p in TRUSTED_WRITERS}.items() <= signers.items()


def test_only_trusted_writers_write_in_the_noise() -> None:
    """An alert on background noise is a gap in an allowlist of the usual writers."""
    names = {program.name.lower() for program in TRUSTED_WRITERS}
    writers = {
        leaf(one.event, "process.name").lower()
        for one in everything()
        if one.label.scenario == NOISE
        and leaf(one.event, "process.Ext.api.name") == "WriteProcessMemory"
    }
    assert writers
    assert writers <= names


def test_one_process_keeps_its_pid_within_a_scenario() -> None:
    """All events of prototype.exe name the same process, as Defend and as Sysmon see it."""
    events = [one.event for one in scenario_events("attack/prototype", 1, START)]
    assert len({leaf(event, "process.pid") for event in events}) == 1
    assert len({leaf(event, "process.entity_id") for event in events}) == 2


@pytest.mark.parametrize(
    ("scenario", "code", "field", "value"),
    [
        ("attack/browser-dll", "7", "winlog.event_data.Signed", "false"),
        ("attack/remote-thread", "8", "winlog.event_data.StartFunction", "LoadLibraryW"),
        ("attack/lsass-access", "10", "winlog.event_data.GrantedAccess", "0x1410"),
    ],
)
@pytest.mark.parametrize("shipper", SHIPPERS)
def test_sysmon_events_keep_their_data(
    shipper: Shipper, scenario: str, code: str, field: str, value: str
) -> None:
    """Code, provider and channel are Sysmon's; what has no ECS name stays in event_data."""
    events = [one.event for one in scenario_events(scenario, 1, START, shipper=shipper)]
    (event, *_) = [one for one in events if leaf(one, "event.code") == code]
    assert leaf(event, field) == value
    assert leaf(event, "event.provider") == "Microsoft-Windows-Sysmon"
    assert leaf(event, "winlog.channel") == "Microsoft-Windows-Sysmon/Operational"
    assert f"{field.rpartition('.')[2]}: {value}" in event["message"]
    assert "\x00" not in event["message"]


def test_winlogbeat_has_no_data_stream_fields() -> None:
    """Winlogbeat writes to its own index, as module sysmon."""
    (one, *_) = scenario_events("attack/lsass-access", 1, START, shipper="winlogbeat")
    assert one.index.startswith("winlogbeat-")
    assert one.event["event"]["module"] == "sysmon"
    assert "data_stream" not in one.event


def test_null_takes_a_field_away() -> None:
    """A scenario can remove what a template would set, with everything below."""
    text = b"""
id: benign/bare
title: Nothing is known of the signature
label: benign
steps:
  - at: 0s
    event: defend/api
    fields: {process.code_signature: null, process.Ext.token: null, user.name: null}
"""
    library = parse_scenarios({"s.yml": text})
    (one,) = scenario_events("benign/bare", 1, START, library=library)
    names = {name for name, _ in leaves(one.event)}
    assert not any("code_signature" in name or ".token." in name for name in names)
    assert "user.name" not in names
    assert "user.id" in names


def test_scenarios_run_on_hosts_of_their_kind() -> None:
    """A developer's scenario happens on a developer's machine, whatever the seed."""
    assert load_scenarios()["benign/debugger"].hosts == ("developer",)
    for seed in range(10):
        for one in scenario_events("benign/debugger", seed, START):
            assert leaf(one.event, "host.name").startswith("DEV-")
