"""`promote`: what one environment has that another lacks, from the files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from support.content import OVERLAY, RULE, RULE_ID, write_content

Captured = pytest.CaptureFixture[str]
SETTINGS = """\
[project]
name = "acme"
[env.dev]
kibana_url = "https://dev.invalid"
[env.prod]
kibana_url = "https://prod.invalid"
interval = "10m"
[env.prod.policy.exceptions]
max_days = 90
"""
OTHER_ID = "c0ffee00-0000-4000-8000-000000000001"
DEV_RULE = RULE.replace(RULE_ID, OTHER_ID).replace("title: Writers", "title: Dev only")
DEV_RULE += "elastic: {environments: [dev]}\n"
REFINED = """\
id: 0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10
items:
  - id: core
    name: Windows
    match: {process.name: svchost.exe}
    owner: me
    reason: Less of it
    permanent: true
    review_by: 2027-06-30
  - id: tools
    name: "Tools | of *developers*"
    match: {process.name: windbg.exe}
    owner: me
    reason: They debug
    permanent: true
    review_by: 2027-06-30
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Base for both; a rule, an item and a narrower item for dev alone."""
    return write_content(
        tmp_path,
        settings=SETTINGS,
        **{"rules__other.yml": DEV_RULE, "exceptions__dev__writers.yml": REFINED},
    )


def promote(root: Path, capsys: Captured, *arguments: str, exits: int = 0) -> str:
    """What the command prints."""
    capsys.readouterr()
    where = ["-C", str(root), "--date", "2026-11-24"]
    assert run(["promote", *arguments, *where]) == exits
    return capsys.readouterr().out


def told(result: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Differences by kind and name."""
    return {(one["kind"], one["name"]): one for one in json.loads(result)["differences"]}


def test_each_kind_of_difference(root: Path, capsys: Captured) -> None:
    """Rules, items, entries and settings, with the way to carry them over; our marks are none."""
    found = told(promote(root, capsys, "dev", "prod", "--json"))
    assert {key: one["what"] for key, one in found.items()} == {
        ("rule", "Dev only"): "missing",
        ("rule", "Writers"): "differs",
        ("item", "Windows"): "differs",
        ("item", "Tools | of *developers*"): "missing",
        ("setting", "interval"): "differs",
        ("setting", "overlays"): "differs",
        ("setting", "policy"): "differs",
    }
    assert "elastic.environments" in found["rule", "Dev only"]["hint"]
    assert "exceptions/dev/writers.yml" in found["item", "Tools | of *developers*"]["hint"]
    fields = {one["field"] for one in found["rule", "Writers"]["fields"]}
    assert fields == {"interval", "from"}
    assert "entries" in {one["field"] for one in found["item", "Windows"]["fields"]}
    assert found["setting", "policy"]["fields"] == [
        {"field": "policy.max_days", "from": None, "to": 90}
    ]


def test_the_other_way_round(root: Path, capsys: Captured) -> None:
    """What is missing there is extra here."""
    found = told(promote(root, capsys, "prod", "dev", "--json"))
    assert found["rule", "Dev only"]["what"] == "extra"


def test_exit_codes_and_renderings(root: Path, capsys: Captured) -> None:
    """0 unless asked; Markdown shows names as they are; alike is said."""
    promote(root, capsys, "dev", "prod")
    promote(root, capsys, "dev", "prod", "--detailed-exitcode", exits=2)
    shown = promote(root, capsys, "dev", "prod", "--format", "markdown")
    assert "#### In dev, not in prod" in shown
    assert "**Tools \\| of \\*developers\\***" in shown
    assert "alike" in promote(root, capsys, "dev", "dev", "--detailed-exitcode")
    promote(root, capsys, "dev", "porod", exits=64)


def test_several_patterns_are_one_item(root: Path, capsys: Captured) -> None:
    """An item that becomes several in Kibana is told once."""
    patterns = OVERLAY.replace("process.name: [", "process.name: ['x*', 'y*', ")
    write_content(root, settings=SETTINGS, overlay=patterns)
    found = json.loads(promote(root, capsys, "prod", "dev", "--json"))["differences"]
    assert [one["what"] for one in found if one["id"].endswith("/core")] == ["differs"]
