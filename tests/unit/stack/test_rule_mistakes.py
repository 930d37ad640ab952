"""A rule that cannot run says so and leaves all others alone, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.errors import ServerError
from ruledeploy.stack import StackConfig, running_stack
from ruledeploy.stack.alerts.executor import due_rules, run_due
from ruledeploy.stack.alerts.kept import LocalAlerts
from ruledeploy.stack.auth import ANYBODY
from ruledeploy.stack.context import Stack, open_stack
from ruledeploy.stack.rules import service
from support.stack_lab import RULES, START, Lab

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
    "grouped for longer than there is time": (
        {
            "alert_suppression": {
                "group_by": ["host.name"],
                "duration": {"value": 99_999_999_999, "unit": "h"},
            }
        },
        "failed",
    ),
    "grouped by many values": ({"alert_suppression": {"group_by": ["host.name"]}}, "succeeded"),
    "from before there was time": ({"from": "now-99999999999d"}, "failed"),
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


# An interval that no date can be counted on by; the stack takes it no more, but may hold it.
ENDLESS = "5000000d"


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
    assert lab.last("linked")["status"] == "failed"


@pytest.mark.parametrize("interval", [ENDLESS, "99999999999d", "0m"])
def test_an_interval_that_is_none_is_refused(lab: Lab, interval: str) -> None:
    """On create and in a preview, by its name."""
    body = {
        "type": "query", "name": "r", "description": "d", "severity": "low", "risk_score": 1,
        "query": "*", "interval": interval,
    }  # fmt: skip
    more = {"invocationCount": 1, "timeframeEnd": START.isoformat()}
    for path, sent in ((RULES, body), (f"{RULES}/preview", body | more)):
        url = f"{lab.running.kibana_url}{path}"
        reply = urllib3.request("POST", url, json=sent, headers=lab.headers, retries=False)
        assert reply.status == 400, reply.data
        assert interval in str(reply.json()["message"])


def with_an_endless_rule(stack: Stack) -> None:
    """Two enabled rules, one with an interval that was stored when it was not refused yet."""
    for rule_id in ("sound", "endless"):
        body = {
            "rule_id": rule_id, "name": "r", "description": "d", "severity": "low",
            "risk_score": 1, "type": "query", "language": "kuery", "query": "a: b",
            "index": ["logs-*"], "from": "now-6m", "to": "now", "interval": "5m", "enabled": True,
            "max_signals": 100, "version": 1, "exceptions_list": [], "actions": [],
        }  # fmt: skip
        service.create(stack, "default", body, ANYBODY)
    (endless,) = (rule for rule in stack.store.all("rule", None) if rule.key == "endless")
    stack.store.put(replace(endless, body={**endless.body, "interval": ENDLESS}))


def summaries(stack: Stack) -> dict[str, str]:
    """How the last run of each rule went."""
    rules = stack.store.all("rule", None)
    return {r.key: r.state["execution_summary"]["last_execution"]["status"] for r in rules}


def test_a_stored_interval_that_is_none_fails_its_rule_only(tmp_path: Path) -> None:
    """When rules are run, and when the next that is due is looked for."""
    stack = open_stack(StackConfig(tmp_path))
    with_an_endless_rule(stack)
    due, following = due_rules(stack)
    (sound,) = (rule for rule in stack.store.all("rule", None) if rule.key == "sound")
    assert due == [("default", sound.id)]
    assert following is not None
    assert run_due(stack).runs == 1
    assert summaries(stack) == {"sound": "partial failure", "endless": "failed"}
    stack.close()


def test_trouble_at_the_first_look_at_alerts_is_one_rules(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is busy once; the other rules run, and alert."""
    for number in range(3):
        lab.rule(rule_id=f"r{number}")
    lab.events(1)
    known, calls = LocalAlerts.existing, []

    def busy_once(self: LocalAlerts, *args: Any, **options: Any) -> set[str]:
        calls.append(args)
        if len(calls) == 1:
            raise ServerError("the node is busy", url="http://node", status=503)
        return known(self, *args, **options)

    monkeypatch.setattr(LocalAlerts, "existing", busy_once)
    assert lab.clock(5)["alerts"] == 2
    statuses = sorted(lab.last(f"r{number}")["status"] for number in range(3))
    assert statuses == ["failed", "succeeded", "succeeded"]
