"""A rule that cannot run says so and leaves all others alone, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.stack import running_stack
from support.stack_lab import RULES, Lab

TERM: dict[str, Any] = {"term": {"process.name": "evil.exe"}}
# What a rule's body may say and the contract lets through; None: it runs all the same.
MISTAKES: dict[str, tuple[dict[str, Any], str | None]] = {
    "syntax": ({"query": "process.name:("}, "failed"),
    "window upside down": ({"from": "now", "to": "now-1h"}, None),
    "no index": ({"index": []}, "partial failure"),
    "odd index": ({"index": ["", "-", "*,", "-logs-*", "a b"]}, None),
    "an unknown filter": ({"filters": [{"query": {"guess": {}}}]}, "failed"),
    "a filter without a query": ({"filters": [{"meta": {}}]}, "failed"),
    "a filter that is none": ({"filters": ["x", 3, None]}, "failed"),
    "a phrase as a filter": ({"filters": [{"meta": {"negate": False}, "query": TERM}]}, None),
    "terms of nothing": (
        {
            "type": "new_terms",
            "new_terms_fields": ["no.such.field"],
            "history_window_start": "now-1h",
        },
        None,
    ),
    "history in words": (
        {"type": "new_terms", "new_terms_fields": ["host.name"], "history_window_start": "long"},
        "failed",
    ),
    "history after the window": (
        {"type": "new_terms", "new_terms_fields": ["host.name"], "history_window_start": "now"},
        None,
    ),
    "a threshold on nothing": ({"type": "threshold", "threshold": {"field": "", "value": 1}}, None),
    "a threshold on objects": (
        {"type": "threshold", "threshold": {"field": ["process"], "value": 1}},
        None,
    ),
    "cardinality of nothing": (
        {"type": "threshold", "threshold": {"field": [], "value": 1, "cardinality": []}},
        None,
    ),
    "grouped by nothing there": ({"alert_suppression": {"group_by": ["no.such.field"]}}, None),
    "grouped by an object": ({"alert_suppression": {"group_by": ["process"]}}, None),
    "override by nothing": ({"timestamp_override": "no.such.field"}, "partial failure"),
    "override by a text": ({"timestamp_override": "process.name"}, None),
    "an unknown data view": ({"data_view_id": "gone", "index": None}, "partial failure"),
    "esql without a source": ({"type": "esql", "language": "esql", "query": "row a = 1"}, "failed"),
    "esql on nothing": ({"type": "esql", "language": "esql", "query": "from nowhere"}, None),
    "esql with an unknown column": (
        {"type": "esql", "language": "esql", "query": "from logs-* | where no.such == 1"},
        None,
    ),
    "eql of another kind": ({"type": "eql", "language": "eql", "query": "sample by a"}, "failed"),
    "one signal": ({"max_signals": 1}, None),
    "a mapping of odd values": (
        {"risk_score_mapping": [{"field": "process", "operator": "equals", "value": ""}]},
        None,
    ),
    "a name from an object": ({"rule_name_override": "process"}, None),
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A fresh stack."""
    with running_stack(tmp_path) as running:
        found = Lab(running)
        found.clock(0, run=False)
        yield found


def test_every_mistake_is_the_rules_own(lab: Lab) -> None:
    """All of them beside a sound rule: it alerts; each of the others has a status of its own."""
    lab.rule(rule_id="sound")
    for number, (changes, _) in enumerate(MISTAKES.values()):
        own = dict(changes)
        if own.get("type") == "esql":
            own["index"] = None
        lab.rule(rule_id=f"r{number}", name=f"r{number}", **own)
    lab.events(1, 2, host={"name": ["a", "b"]})
    told = lab.clock(10)
    assert told["runs"] == 2 * (len(MISTAKES) + 1)
    sound = [a for a in lab.alerts() if a["kibana.alert.rule.rule_id"] == "sound"]
    assert len(sound) == 2
    statuses = {name: lab.last(f"r{n}")["status"] for n, name in enumerate(MISTAKES)}
    wanted = {name: status for name, (_, status) in MISTAKES.items() if status is not None}
    assert {name: statuses[name] for name in wanted} == wanted
    assert set(statuses.values()) <= {"succeeded", "partial failure", "failed"}
    assert lab.send("GET", f"{RULES}/_find")["total"] == len(MISTAKES) + 1


def test_a_malformed_item_fails_the_rules_that_link_it(lab: Lab) -> None:
    """A value that its field cannot hold; the rule beside it runs."""
    link = lab.listed()
    entry = {"field": "host.ip", "type": "match_any", "operator": "included", "value": ["x"]}
    lab.item("bad", "evil.exe", entries=[entry])
    lab.rule(rule_id="linked", exceptions_list=[link])
    lab.rule(rule_id="sound")
    lab.events(1)
    lab.clock(5)
    found = {a["kibana.alert.rule.rule_id"] for a in lab.alerts()}
    assert "sound" in found
    assert lab.last("linked")["status"] in {"succeeded", "failed"}
