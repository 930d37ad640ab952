"""Proposals for an allowlist: what they hide is counted, what would hide an attack is withdrawn."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.project import load_project, read_folder
from ruledeploy.sigma import parse_selection
from ruledeploy.telemetry import load_scenarios
from ruledeploy.verify.past import FilePast
from ruledeploy.verify.tune import Proposal, Tuned, Tuning, tune
from ruledeploy.verify.tune import _escaped as escaped
from ruledeploy.yamldoc import YamlDoc, load_one
from support.content import write_content

TOOL = {
    "process.executable": r"C:\Program Files\Tool\1.2.3\tool.exe",
    "process.code_signature.subject_name": "Tool Ltd",
    "process.code_signature.trusted": True,
}


def write(number: int, **changes: Any) -> dict[str, Any]:
    """One cross-process write, as Defend sends it."""
    return {
        "@timestamp": f"2026-11-2{number % 3}T08:00:00.000Z",
        "event": {"id": f"e{number}", "category": "api"},
        "process.Ext.api.name": "WriteProcessMemory",
        "host.name": f"host-{number % 2}",
        "data_stream": {
            "type": "logs",
            "dataset": "endpoint.events.api",
            "namespace": "default",
        },
        **changes,
    }


def tuned(tmp_path: Path, events: list[dict[str, Any]], **changes: Any) -> Tuned:
    """The one rule of the small content repository, tuned on these events."""
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    project = load_project(read_folder(write_content(tmp_path / "content")))
    what = Tuning(
        project=project,
        env=project.environment("local"),
        day=date(2026, 11, 24),
        past=FilePast((file,)),
        library=load_scenarios(),
        **changes,
    )
    (found,) = tune(what)
    return found


def test_a_habit_becomes_an_item_that_hides_it(tmp_path: Path) -> None:
    """Grouped over releases of the program; what it hides is what the compiled item hides."""
    other = {**TOOL, "process.executable": r"C:\Program Files\Tool\1.10.0\tool.exe"}
    events = [write(n, **(TOOL if n % 2 else other)) for n in range(6)]
    found = tuned(tmp_path, [*events, write(9, **{"process.executable": r"C:\x\rare.exe"})])
    (one,) = found.proposals
    assert (one.item_id, one.events, one.hosts, one.refused) == ("tool", 6, 2, "")
    assert one.match["process.executable"] == r"C:\Program Files\Tool\\*\tool.exe"
    assert (one.first, one.last) == ("2026-11-20T08:00:00.000Z", "2026-11-22T08:00:00.000Z")
    assert (found.alerts, found.left) == (7, 1)
    doc = load_one(found.overlay.encode(), "tuned.yml")
    assert doc.value["items"][0]["expires"] == "2027-02-22"


def test_habits_below_the_count_are_left(tmp_path: Path) -> None:
    """Four alerts are no habit when five make one."""
    found = tuned(tmp_path, [write(n, **TOOL) for n in range(4)])
    assert (found.proposals, found.left, found.overlay) == ((), 4, "")


def unsigned(path: str) -> list[dict[str, Any]]:
    """Five alerts of an unsigned program."""
    return [write(n, **{"process.executable": path}) for n in range(5)]


@pytest.mark.parametrize(
    ("path", "proposed"),
    [
        (r"C:\Program Files\Old Tool\old.exe", True),
        (r"C:\Windows\Temp\old.exe", False),
        (r"C:\Users\mia\AppData\Local\old.exe", False),
    ],
)
def test_an_unsigned_program_needs_a_protected_folder(
    tmp_path: Path, path: str, proposed: bool
) -> None:
    """Whoever can write there could put an attack there; `anyone` proposes it all the same."""
    (one,) = tuned(tmp_path, unsigned(path)).proposals
    assert (not one.refused) is proposed
    (one,) = tuned(tmp_path, unsigned(path), anyone=True).proposals
    assert not one.refused


def test_a_proposal_that_hides_an_attack_is_withdrawn(tmp_path: Path) -> None:
    """The prototype's own path, seen five times: what is frequent may still be an attack."""
    attack = r"C:\Users\mia\AppData\Local\Temp\prototype.exe"
    found = tuned(tmp_path, unsigned(attack), anyone=True)
    (one,) = found.proposals
    assert one.refused == "it would hide attack/prototype, attack/unknown-target"
    assert (found.left, found.overlay) == (5, "")


@given(st.text(st.sampled_from("ab\\*?"), min_size=1, max_size=8))
def test_a_literal_is_written_as_sigma_reads_it(text: str) -> None:
    """What `match:` makes of the escaped text is the text, without a wildcard."""
    doc: YamlDoc = load_one(json.dumps({"m": {"process.name": escaped(text)}}).encode(), "x.yml")
    (match,) = parse_selection(doc, "m")
    assert match.values[0].plain == text


def test_a_proposal_is_plain_data() -> None:
    """The JSON form holds every field."""
    one = Proposal("a", {"f": "v"}, 1, 1, "x", "y", "z")
    assert set(one.to_json()) == set(Proposal.__slots__)
