"""docs/telemetry.md tells what there is."""

from __future__ import annotations

import re
from pathlib import Path

from ruledeploy.telemetry import load_scenarios, parse_scenarios
from ruledeploy.telemetry.shapes import TEMPLATES

TEXT = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text("utf-8")


def test_the_table_lists_every_scenario() -> None:
    """Id, technique, size and title of each bundled scenario are a row of the table."""
    rows = [
        f"| `{one.id}` | {one.technique or ''} | {one.size} | {one.title} |"
        for one in load_scenarios().values()
    ]
    assert re.findall(r"^\| `(?:attack|benign)/.*$", TEXT, re.MULTILINE) == rows


def test_every_template_is_explained() -> None:
    """Each name that a step may give as its event occurs."""
    assert [name for name in TEMPLATES if f"`{name}`" not in TEXT] == []


def test_the_examples_are_scenarios() -> None:
    """The YAML that the page shows parses."""
    texts = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    files = {f"{number}.yml": text.encode() for number, text in enumerate(texts)}
    found = parse_scenarios(files, load_scenarios())
    assert {one: found[one].size for one in found} == {
        "attack/example": 3,
        "attack/intrusion": 9,
    }
