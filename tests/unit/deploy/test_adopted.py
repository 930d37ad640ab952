"""Objects taken over as they were: no write for our marks alone, and every later change seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ruledeploy.deploy import Applied, Live, Options, Ref, find_drift, make_plan
from ruledeploy.deploy.records import Entry
from support.deploy_bench import MARK, OWNER, release, rule

REF = Ref("rule", "r")
SOURCE = "Source: `rules/r.yml`"
MINE = rule("r", note=f"Look at it.\n\n{SOURCE}", meta={"ruledeploy": {"path": "r"}})
LIVE = {
    **rule("r", tags=[], note="Look at it.").body,
    "id": "uuid",
    "created_at": "2026-01-01T00:00:00.000Z",
}
APPLIED = Applied(OWNER, 1, objects={REF: (Entry(MINE.body, "r", adopted=True),)})


def planned(live: Mapping[str, Any], **fields: Any) -> list[tuple[str, set[str]]]:
    """Actions and changed fields of a plan, when the file says `fields` more."""
    wanted = release(replace(MINE, body={**MINE.body, **fields}))
    plan = make_plan(wanted, Live({REF: live}), APPLIED, Options())
    return [(change.action, set(change.after or {})) for change in plan.changes]


def test_marks_alone_are_no_change() -> None:
    """Neither the tag nor the source line nor `meta`: the rule would run with another key."""
    assert planned(LIVE) == []
    assert find_drift(Live({REF: LIVE}), APPLIED) == ()


def test_the_first_change_brings_the_marks() -> None:
    """What the file asks for, and with it our tag, source line and meta."""
    [(action, fields)] = planned(LIVE, query="process.name:y.exe")
    assert action == "update"
    assert {"query", "tags", "note", "meta"} <= fields


def test_an_analysts_change_stays_and_is_drift() -> None:
    """As with any object of ours."""
    edited = {**LIVE, "query": "process.name:theirs.exe"}
    assert planned(edited) == []
    [drift] = find_drift(Live({REF: edited}), APPLIED)
    assert [states.field for states in drift.fields] == ["query"]
    [(action, _)] = planned(edited, query="process.name:ours.exe")
    assert action == "conflict"


def test_an_adopted_rule_that_the_files_drop_is_disabled() -> None:
    """The record alone says that it is ours."""
    plan = make_plan(release(), Live({REF: LIVE}), APPLIED, Options())
    [change] = plan.changes
    assert (change.action, (change.after or {})["enabled"]) == ("disable", False)


def test_entries_survive_the_record() -> None:
    """`adopted` goes to JSON and back; records from before know nothing of it."""
    [entry] = APPLIED.objects[REF]
    assert Entry.from_json(entry.to_json()) == entry
    old = {key: value for key, value in entry.to_json().items() if key != "adopted"}
    assert Entry.from_json(old).adopted is False
    assert MARK in entry.body["tags"]
