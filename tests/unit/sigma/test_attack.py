from __future__ import annotations

import pytest

from ruledeploy.errors import ConfigError, Location
from ruledeploy.model import JsonObject
from ruledeploy.sigma import severity, threat
from ruledeploy.sigma.attack import VERSIONS, load_attack

PLACE = Location("r.yml", 1)


def shape(entries: list[JsonObject]) -> dict[str, list[str]]:
    """Tactic name to the ids of its techniques and sub-techniques."""
    return {
        entry["tactic"]["name"]: [
            id_
            for technique in entry.get("technique", [])
            for id_ in (technique["id"], *(sub["id"] for sub in technique.get("subtechnique", [])))
        ]
        for entry in entries
    }


def test_a_sub_technique_stands_under_each_tagged_tactic() -> None:
    """T1055.002 belongs to both of its tactics, in either version's words."""
    tags = ["attack.defense-evasion", "attack.privilege-escalation", "attack.t1055.002"]
    ids = ["T1055", "T1055.002"]
    entries, findings = threat(tags, "v18", PLACE)
    assert shape(entries) == {"Privilege Escalation": ids, "Defense Evasion": ids}
    assert not findings
    assert entries[0]["technique"][0]["subtechnique"][0] == {
        "id": "T1055.002",
        "name": "Portable Executable Injection",
        "reference": "https://attack.mitre.org/techniques/T1055/002/",
    }
    entries, findings = threat(tags, "v19", PLACE)
    assert shape(entries)["Stealth"] == ids
    assert entries[-1]["tactic"]["id"] in {"TA0005", "TA0112"}


def test_a_technique_never_stands_under_a_foreign_tactic() -> None:
    """A tagged tactic that the technique does not belong to stands alone."""
    entries, _ = threat(["attack.impact", "attack.t1055"], "v18", PLACE)
    assert shape(entries) == {
        "Privilege Escalation": ["T1055"],
        "Defense Evasion": ["T1055"],
        "Impact": [],
    }


@pytest.mark.parametrize(
    ("tag", "version", "becomes", "code"),
    [
        ("attack.t1086", "v18", "T1059.001", "attack-mapped"),
        ("attack.t1574.002", "v19", "T1574.001", "attack-mapped"),
        ("attack.t1562.001", "v19", "T1685", "attack-mapped"),
        ("attack.t1685.001", "v18", "T1562.002", "attack-mapped"),
        ("attack.t9999", "v18", None, "attack-unknown"),
        ("attack.defense-evason", "v18", None, "attack-unknown"),
    ],
)
def test_an_id_that_the_version_lacks_is_mapped_or_reported(
    tag: str, version: str, becomes: str | None, code: str
) -> None:
    """Never dropped in silence."""
    entries, findings = threat([tag], version, PLACE)
    assert [found.code for found in findings] == [code]
    found = {id_ for ids in shape(entries).values() for id_ in ids}
    assert (becomes in found) if becomes else not found


def test_groups_and_software_are_no_mistake() -> None:
    """Tags of other ATT&CK objects, and other namespaces, say nothing about techniques."""
    assert threat(["attack.g0016", "attack.s0002", "cve.2021.1"], "v18", PLACE) == ([], [])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_technique_has_tactics_of_its_version(version: str) -> None:
    """The tables fit together, and every sub-technique has its parent."""
    table = load_attack(version)
    for id_, technique in table.techniques.items():
        assert technique.tactics, id_
        assert set(technique.tactics) <= set(table.tactics) or id_.startswith("T"), id_
        assert id_.partition(".")[0] in table.techniques


def test_an_unknown_version_is_refused() -> None:
    """The hint lists the versions we have."""
    with pytest.raises(ConfigError, match="v18, v19"):
        load_attack("v1")


def test_severity_follows_the_level() -> None:
    """Kibana has no informational; a rule without a level is medium."""
    assert severity("informational") == ("low", 21)
    assert severity("critical") == ("critical", 99)
    assert severity(None) == ("medium", 47)
