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
from ruledeploy.sigma.selection import parse_selection
from ruledeploy.telemetry import load_scenarios
from ruledeploy.verify.past import FilePast
from ruledeploy.verify.tune import Proposed, Tuned, Tuning, tune
from ruledeploy.verify.tune import _escaped as escaped
from ruledeploy.verify.tune_overlay import Proposal
from ruledeploy.yamldoc import YamlDoc, load_one
from support.content import OVERLAY, RULE, RULE_ID, write_content

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


def proposed(tmp_path: Path, events: list[dict[str, Any]], **changes: Any) -> Proposed:
    """The small content repository, with the `files` given besides, tuned on these events."""
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    root = write_content(tmp_path / "content", **changes.pop("files", {}))
    project = load_project(read_folder(root))
    what = Tuning(
        project=project,
        env=project.environment("local"),
        day=date(2026, 11, 24),
        past=FilePast((file,)),
        library=load_scenarios(),
        **changes,
    )
    return tune(what)


def tuned(tmp_path: Path, events: list[dict[str, Any]], **changes: Any) -> Tuned:
    """What is proposed for the one rule."""
    (found,) = proposed(tmp_path, events, **changes).rules
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


def test_tuning_again_adds_to_what_is_in_force(tmp_path: Path) -> None:
    """In whatever file it stands by now: no item goes, none takes another's id, comments stay."""
    mine = [write(n, **TOOL) for n in range(6)]
    first = tuned(tmp_path, mine)
    kept = first.overlay.replace("owner: TODO", "owner: me  # asked the vendor")
    other = {**TOOL, "process.executable": r"C:\Program Files\Other\tool.exe"}
    events = [*mine, *(write(n, **other) for n in range(10, 15))]
    files = {"exceptions__base__habits.yml": kept}
    again = proposed(tmp_path, events, files=files, path="exceptions/base/tuned.yml")
    (found,) = again.rules
    assert (found.alerts, found.left, found.path) == (5, 0, "exceptions/base/habits.yml")
    assert [(one.item_id, one.events) for one in found.proposals] == [("tool-2", 5)]
    assert list(again.files) == ["exceptions/base/habits.yml"]
    text = again.files["exceptions/base/habits.yml"].decode()
    assert text.startswith(kept)
    items = load_one(text.encode(), "habits.yml").value["items"]
    assert [one["id"] for one in items] == ["tool", "tool-2"]


def test_proposals_leave_the_rest_of_a_file_alone(tmp_path: Path) -> None:
    """A file of other overlays gets one more document."""
    events = [write(n, **TOOL) for n in range(6)]
    found = proposed(tmp_path, events, path="exceptions/base/writers.yml")
    text = found.files["exceptions/base/writers.yml"].decode()
    assert text == f"{OVERLAY}---\n{found.rules[0].overlay}"


def test_variants_of_a_rule_share_its_overlay(tmp_path: Path) -> None:
    """What is proposed for one hides the other's events too, in one document."""
    rule = RULE + "elastic:\n  variants:\n    again: {index: [logs-endpoint.events.api-x*]}\n"
    stream = {"type": "logs", "dataset": "endpoint.events.api", "namespace": "x"}
    seen = [write(n, **TOOL, data_stream=stream) for n in range(6)]
    found = proposed(tmp_path, seen, files={"rule": rule})
    (one,) = found.rules
    assert (one.alerts, one.left) == (6, 0)
    assert [data.decode() for data in found.files.values()] == [one.overlay]


STARTS = f"""\
title: Starts
id: {RULE_ID}
level: high
logsource: {{product: windows, category: process_creation}}
detection: {{selection: {{Image|endswith: tool.exe}}, condition: selection}}
elastic: {{variants: [defend]}}
"""


def test_what_a_variant_cannot_say_is_withdrawn(tmp_path: Path) -> None:
    """Sysmon knows no signer of a process: the item is named and no longer ends the command."""
    stream = {"type": "logs", "dataset": "endpoint.events.process", "namespace": "default"}
    kind = {"category": "process", "type": "start", "kind": "event"}
    events = [write(n, **TOOL, data_stream=stream, event={"id": f"e{n}", **kind}) for n in range(6)]
    found = tuned(tmp_path, events, files={"rule": STARTS})
    (one,) = found.proposals
    assert one.refused.startswith("process.code_signature.subject_name: no such field")
    assert (found.alerts, found.left, found.overlay) == (6, 6, "")


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
