"""What surrounds a query: ATT&CK, fields, texts, schedule; and that Kibana would take the body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.compile import compile_release
from ruledeploy.errors import Location
from ruledeploy.model import Finding, JsonObject
from ruledeploy.project import load_project, read_folder
from ruledeploy.sigma import threat
from ruledeploy.sigma.attack import VERSIONS, load_attack
from ruledeploy.stack.schema import body_shape, complaints, describe

ROOT = Path(__file__).parents[3]
SETTINGS = '[project]\nname = "acme"\n[env.local]\nkibana_url = "embedded:"\n'
RULE = """\
title: Everything a rule can say
id: 11111111-1111-4111-8111-111111111111
status: test
description: What it is about
references: [https://example.invalid/a, https://example.invalid/b]
author: Ann Author, Bob (of A, B), Cid
date: 2025/07/04
license: DRL-1.1
tags: [attack.defense_evasion, attack.t1055.002, cve.2021-44228]
level: informational
falsepositives: [Debuggers, Crash reporters]
logsource: {product: windows, category: process_access}
detection:
  selection:
    SourceImage|endswith: '\\a.exe'
    TargetImage: lsass.exe
    NoSuchField: x
  condition: selection
"""


def compiled(text: str = RULE, version: str = "v18") -> JsonObject:
    """The body of a rule."""
    settings = SETTINGS + f'attack_version = "{version}"\n'
    project = load_project({"ruledeploy.toml": settings.encode(), "rules/r.yml": text.encode()})
    release = compile_release(project, project.environment("local"), date(2027, 1, 1))
    return release.rules[0].body


def test_everything_that_sigma_says_is_kept() -> None:
    """Texts, authors apart, tags, severity that Kibana knows, the file it comes from."""
    body = compiled()
    assert body["description"] == "What it is about"
    assert body["author"] == ["Ann Author", "Bob (of A, B)", "Cid"]
    assert body["references"] == ["https://example.invalid/a", "https://example.invalid/b"]
    assert body["false_positives"] == ["Debuggers", "Crash reporters"]
    assert body["license"] == "DRL-1.1"
    assert (body["severity"], body["risk_score"]) == ("low", 21)
    assert (body["from"], body["to"], body["interval"]) == ("now-9m", "now", "5m")
    assert body["tags"][:3] == ["attack.defense-evasion", "attack.t1055.002", "cve.2021-44228"]
    assert body["note"].endswith("Source: `rules/r.yml`")


def test_the_fields_that_the_query_reads_are_listed() -> None:
    """Those that are mapped, with their types, in order."""
    fields = compiled()["required_fields"]
    assert {"name": "process.executable", "type": "keyword"} in fields
    assert {"name": "event.code", "type": "keyword"} in fields
    assert fields == sorted(fields, key=lambda field: field["name"])


def placed(entries: Iterable[JsonObject]) -> set[tuple[str, str]]:
    """(tactic id, technique id) of every technique of a `threat`, also of mere parents."""
    found = set()
    for entry in entries:
        for technique in entry.get("technique", ()):
            below = technique.get("subtechnique", ())
            found |= {(entry["tactic"]["id"], each["id"]) for each in (technique, *below)}
    return found


def lost(tags: Sequence[str], version: str) -> list[str]:
    """Technique tags that are neither in the threat nor spoken of."""
    entries, findings = threat(tags, version, Location("r.yml", 1))
    there = {technique for _, technique in placed(entries)}
    said = " ".join(finding.message for finding in findings)
    wanted = [tag.removeprefix("attack.").upper() for tag in tags if tag.startswith("attack.t1")]
    return [each for each in wanted if each not in there and each not in said]


def misplaced(entries: Iterable[JsonObject], version: str) -> list[tuple[str, str]]:
    """Techniques under a tactic that is not theirs in the version."""
    table = load_attack(version)
    ids = {id_: short for short, (id_, _) in table.tactics.items()}
    return [
        (tactic, technique)
        for tactic, technique in placed(entries)
        if ids[tactic] not in table.techniques[technique].tactics
    ]


TECHNIQUES = sorted({id_ for version in VERSIONS for id_ in load_attack(version).techniques})
TACTICS = sorted({name for version in VERSIONS for name in load_attack(version).tactics})
TAGS = st.one_of(st.sampled_from(TECHNIQUES).map(str.lower), st.sampled_from(TACTICS)).map(
    lambda name: f"attack.{name}"
)


@pytest.mark.parametrize("version", VERSIONS)
@given(tags=st.lists(TAGS, max_size=8))
def test_no_technique_is_lost_or_misplaced(version: str, tags: list[str]) -> None:
    """Whatever a rule is tagged with: each technique is placed truly, or spoken of."""
    entries, _ = threat(tags, version, Location("r.yml", 1))
    assert lost(tags, version) == []
    assert misplaced(entries, version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_technique_there_ever_was_alone(version: str) -> None:
    """One by one, without a tactic beside it."""
    for id_ in TECHNIQUES:
        tags = [f"attack.{id_.lower()}"]
        entries, _ = threat(tags, version, Location("r.yml", 1))
        assert lost(tags, version) == []
        assert misplaced(entries, version) == []


def test_an_unknown_technique_is_reported() -> None:
    """Not dropped in silence."""
    said: list[Finding] = threat(["attack.t9999"], "v18", Location("r.yml", 1))[1]
    assert [finding.code for finding in said] == ["attack-unknown"]


def issues(body: JsonObject) -> str:
    """What the contract says of a body for `POST /api/detection_engine/rules`."""
    shape = body_shape("POST /api/detection_engine/rules")
    return describe(complaints(shape, dict(body), "3"))


def repository_rules() -> list[Any]:
    """Every rule of this repository, in every environment, and the rule above in each language."""
    project = load_project(read_folder(ROOT))
    releases = [
        compile_release(project, project.environment(name), date(2026, 11, 24))
        for name in project.env_names
    ]
    own = [
        pytest.param(compiled(f"{RULE}elastic: {{language: {name}}}\n"), id=name)
        for name in ("lucene", "eql", "esql")
    ]
    return own + [
        pytest.param(rule.body, id=f"{release.env}-{rule.name}")
        for release in releases
        for rule in release.rules
    ]


@pytest.mark.parametrize("body", repository_rules())
def test_kibana_would_take_it(body: JsonObject) -> None:
    """Every body holds to the contract's create schema."""
    assert issues(body) == ""


def test_the_contract_is_no_rubber_stamp() -> None:
    """The same check refuses a body that is wrong."""
    assert issues({**compiled(), "severity": "informational"})
    assert issues({**compiled(), "required_fields": [{"name": "a"}]})
