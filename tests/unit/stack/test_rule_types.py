"""Rules of every type that runs: what they alert on, tick by tick, and what the alerts say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.stack import running_stack
from support.stack_lab import RULES, Lab

HOST = "host.name"
PREVIEW = f"{RULES}/preview"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A fresh stack."""
    with running_stack(tmp_path) as running:
        found = Lab(running)
        found.clock(0, run=False)
        yield found


def on(host: str, process: str = "evil.exe") -> dict[str, Any]:
    """What tells the events of one host and process."""
    api = {"Ext": {"api": {"name": "WriteProcessMemory"}}, "name": process}
    return {"host": {"name": host}, "process": api}


def found_at(lab: Lab) -> list[tuple[str, str]]:
    """Minute of the run and minute of the event, of every alert."""
    alerts = lab.alerts()
    return [(a["@timestamp"][14:16], a["kibana.alert.original_time"][14:16]) for a in alerts]


# ------------------------------------------------------------------------------- query, eql, esql


@pytest.mark.parametrize(
    "query",
    [
        "process.name: evil.exe",
        'process.name.caseless: "EVIL.EXE" and not host.name: b*',
        "process.name: (evil.exe or other.exe) and process.Ext.api.name: WriteProcess*",
        'not host.name: b and @timestamp >= "2026-11-23T00:00:30Z"',
    ],
)
def test_a_kuery_rule_alerts(lab: Lab, query: str) -> None:
    """Kibana's own language, over the types of the index."""
    lab.rule(language="kuery", query=query)
    lab.events(1, **on("a"))
    lab.events(2, **on("b", "good.exe"))
    assert lab.clock(5)["alerts"] == 1
    (alert,) = lab.alerts()
    assert alert["host"]["name"] == "a"
    assert alert["kibana.alert.rule.rule_type_id"] == "siem.queryRule"


def test_a_saved_query_rule_alerts_by_the_query_it_carries(lab: Lab) -> None:
    """As Kibana stores it beside the saved query's id."""
    lab.rule(type="saved_query", saved_id="s")
    lab.events(1)
    assert lab.clock(5)["alerts"] == 1
    assert lab.alerts()[0]["kibana.alert.rule.rule_type_id"] == "siem.savedQueryRule"


def test_an_esql_rule_that_finds_events_alerts_once_on_each(lab: Lab) -> None:
    """The runs overlap; `_id` is what tells events apart."""
    query = "from logs-endpoint.events.api-* metadata _id, _index, _version | where host.name == "
    lab.rule(type="esql", language="esql", query=f'{query} "a"', index=None)
    lab.events(1, 6, **on("a"))
    lab.events(2, **on("b"))
    assert lab.clock(30)["alerts"] == 2
    assert {a["host"]["name"] for a in lab.alerts()} == {"a"}


def test_an_esql_rule_that_groups_alerts_on_each_row_of_each_run(lab: Lab) -> None:
    """Rows are no events: overlapping runs repeat them, and the alert has their columns."""
    query = "from logs-* | stats n = count(*), latest = max(@timestamp) by host.name | where n >= 3"
    lab.rule(type="esql", language="esql", query=query, index=None)
    lab.events(1, 2, 3, **on("a"))
    lab.events(1, 2, **on("b"))
    assert lab.clock(5)["alerts"] == 1
    (alert,) = lab.alerts()
    assert (alert["n"], alert[HOST]) == (3, "a")
    assert alert["latest"] == "2026-11-23T00:03:00.000Z"
    assert alert["kibana.alert.original_time"] == "2026-11-23T00:05:00.000Z"
    assert alert["kibana.alert.rule.rule_type_id"] == "siem.esqlRule"
    assert lab.clock(10)["alerts"] == 1  # minutes 1 to 10 hold them still
    assert lab.clock(20)["alerts"] == 0


def test_grouped_rows_heed_exceptions_limits_and_suppression(lab: Lab) -> None:
    """Exceptions hide events before they are counted."""
    link = lab.listed()
    lab.item("good", "good.exe")
    query = "from logs-* | stats n = count(*) by host.name, process.name"
    lab.rule(
        type="esql", language="esql", query=query, index=None, max_signals=2,
        exceptions_list=[link],
    )  # fmt: skip
    grouped = {"group_by": [HOST]}
    lab.rule(rule_id="s", type="esql", language="esql", query=query, index=None,
             alert_suppression=grouped)  # fmt: skip
    for process in ("x.exe", "y.exe", "z.exe", "good.exe"):
        lab.events(1, **on("a", process))
    lab.clock(5)
    found = [alert for alert in lab.alerts() if alert["kibana.alert.rule.rule_id"] == "wpm"]
    assert len(found) == 2
    assert "good.exe" not in {alert["process.name"] for alert in found}
    assert lab.last()["message"].startswith("This rule reached the maximum alert limit")
    (one,) = [alert for alert in lab.alerts() if alert["kibana.alert.rule.rule_id"] == "s"]
    assert one["kibana.alert.suppression.docs_count"] == 3


@pytest.mark.parametrize(
    ("query", "alerts"),
    [
        ('process where process.name : "EVIL.EXE"', 0),
        ('api where process.name : "EVIL.EXE" and host.name == "a"', 1),
        ('any where process.Ext.api.name == "WriteProcessMemory"', 2),
    ],
)
def test_an_eql_rule_alerts_on_single_events(lab: Lab, query: str, alerts: int) -> None:
    """`:` in any case, `==` to the letter; the category is the event's."""
    lab.rule(type="eql", language="eql", query=query)
    lab.events(1, **on("a"))
    lab.events(2, **on("b", "other.exe"))
    assert lab.clock(5)["alerts"] == alerts
    assert lab.last()["status"] == "succeeded"


def test_an_eql_sequence_fails_by_name(lab: Lab) -> None:
    """It is not run as something else."""
    query = "sequence by host.name [api where true] [file where true]"
    lab.rule(type="eql", language="eql", query=query)
    lab.events(1)
    lab.clock(5)
    assert lab.last()["status"] == "failed"
    assert "sequence" in lab.last()["message"]


def test_alerting_knows_a_rule_by_its_type(lab: Lab) -> None:
    """In its own list, in a filter and in the rule's alerts."""
    lab.rule(type="eql", language="eql", query="any where true")
    lab.events(1)
    lab.clock(5)
    (found,) = lab.send("GET", "/api/alerting/rules/_find")["data"]
    assert found["rule_type_id"] == "siem.eqlRule"
    query = "alert.attributes.alertTypeId:siem.eqlRule"
    assert lab.send("GET", f"{RULES}/_find?filter={query}")["total"] == 1
    assert lab.alerts()[0]["kibana.alert.rule.rule_type_id"] == "siem.eqlRule"


def test_types_that_need_more_than_this_stack_fail_by_name(lab: Lab) -> None:
    """They are stored and validated; running says why there is nothing."""
    mapping = [{"entries": [{"field": "file.hash.sha256", "type": "mapping", "value": "h"}]}]
    lab.rule(
        rule_id="indicator", type="threat_match", threat_query="*:*", threat_index=["t-*"],
        threat_mapping=mapping,
    )  # fmt: skip
    lab.rule(
        rule_id="ml", type="machine_learning", anomaly_threshold=50, machine_learning_job_id=["j"]
    )
    for rule_id, name in (("indicator", "threat_match"), ("ml", "machine_learning")):
        last = lab.last(rule_id)
        assert last["status"] == "failed"
        assert last["message"] == f"the local stack does not run rules of type {name}"


# ------------------------------------------------------------------------------------- threshold


def threshold(lab: Lab, value: int, fields: list[str], **more: Any) -> None:
    """A threshold rule over `fields`, each five minutes over nine."""
    given = {"field": fields, "value": value, **more.pop("threshold", {})}
    lab.rule(type="threshold", threshold=given, **more)


def test_a_threshold_alerts_per_value_that_is_seen_often_enough(lab: Lab) -> None:
    """Terms, count and start of the window are told; the alert's time is the last event's."""
    threshold(lab, 3, [HOST])
    lab.events(1, 2, 3, **on("a"))
    lab.events(1, 2, **on("b"))
    assert lab.clock(5)["alerts"] == 1
    (alert,) = lab.alerts()
    assert alert["kibana.alert.threshold_result"] == {
        "terms": [{"field": HOST, "value": "a"}],
        "count": 3,
        "from": "2026-11-22T23:56:00.000Z",
    }
    assert alert[HOST] == "a"
    assert alert["kibana.alert.original_time"] == "2026-11-23T00:03:00.000Z"
    assert alert["kibana.alert.rule.rule_type_id"] == "siem.thresholdRule"


def test_a_threshold_counts_no_event_twice(lab: Lab) -> None:
    """The next overlapping run counts only what came after the last alert's events."""
    threshold(lab, 3, [HOST])
    lab.events(1, 2, 3, 6, 7, **on("a"))
    lab.clock(10)
    assert found_at(lab) == [("05", "03")]
    lab.events(8, **on("a"))
    lab.clock(15)
    assert found_at(lab) == [("05", "03"), ("15", "08")]


def test_a_threshold_that_is_not_reached_counts_on(lab: Lab) -> None:
    """Two events in one run and one in the next make three, when a window holds them all."""
    threshold(lab, 3, [HOST])
    lab.events(3, 4, 6, **on("a"))
    lab.clock(30)
    assert found_at(lab) == [("10", "06")]


def test_a_threshold_without_fields_counts_everything(lab: Lab) -> None:
    """One bucket."""
    threshold(lab, 3, [])
    lab.events(1, 2, **on("a"))
    lab.events(3, **on("b"))
    lab.clock(5)
    (alert,) = lab.alerts()
    result = alert["kibana.alert.threshold_result"]
    assert (result["terms"], result["count"]) == ([], 3)


def test_a_threshold_may_ask_for_many_values(lab: Lab) -> None:
    """Cardinality: three processes on one host, not three events of one."""
    asked = {"cardinality": [{"field": "process.name", "value": 3}]}
    threshold(lab, 3, [HOST], threshold=asked)
    lab.events(1, 2, 3, **on("a"))
    for minute, process in enumerate(("x.exe", "y.exe", "z.exe")):
        lab.events(minute, **on("b", process))
    lab.clock(5)
    (alert,) = lab.alerts()
    assert alert[HOST] == "b"
    cardinality = alert["kibana.alert.threshold_result"]["cardinality"]
    assert cardinality == [{"field": "process.name", "value": 3}]


def test_exceptions_hide_events_from_a_threshold(lab: Lab) -> None:
    """They are filtered before counting."""
    link = lab.listed()
    lab.item("good", "good.exe")
    threshold(lab, 3, [HOST], exceptions_list=[link])
    lab.events(1, 2, **on("a"))
    lab.events(3, **on("a", "good.exe"))
    assert lab.clock(5)["alerts"] == 0


def test_a_threshold_forgets_nothing_over_a_restart(tmp_path: Path) -> None:
    """What was counted is kept with the rule."""
    with running_stack(tmp_path) as running:
        lab = Lab(running)
        lab.clock(0, run=False)
        threshold(lab, 2, [HOST])
        lab.events(3, 4, **on("a"))
        assert lab.clock(5)["alerts"] == 1
    with running_stack(tmp_path) as running:
        assert Lab(running).clock(10)["alerts"] == 0


# ------------------------------------------------------------------------------------- new terms


def new_terms(lab: Lab, *fields: str, **more: Any) -> None:
    """A new-terms rule with a history of an hour."""
    body = {"new_terms_fields": list(fields), "history_window_start": "now-60m", **more}
    lab.rule(type="new_terms", **body)


def test_only_a_value_without_a_history_alerts(lab: Lab) -> None:
    """Seen within the hour before the window, it is not new; afterwards it is again."""
    new_terms(lab, HOST)
    lab.events(1, 30, **on("a"))
    lab.events(31, 59, **on("b"))
    lab.clock(60)
    assert found_at(lab) == [("05", "01"), ("35", "31")]
    assert [a["kibana.alert.new_terms"] for a in lab.alerts()] == [["a"], ["b"]]
    lab.events(118, **on("a"), event={"id": "later"})
    lab.clock(120)
    assert found_at(lab)[-1] == ("00", "58")


def test_a_value_alerts_once_a_run_on_its_first_event(lab: Lab) -> None:
    """Not on each event that has it."""
    new_terms(lab, HOST)
    lab.events(1, 2, 3, **on("a"))
    lab.clock(30)
    assert found_at(lab) == [("05", "01")]


def test_new_combinations_of_known_values_alert(lab: Lab) -> None:
    """Two fields: each value is known, the pair is not."""
    new_terms(lab, HOST, "process.name")
    lab.events(1, **on("a", "x.exe"))
    lab.events(2, **on("b", "y.exe"))
    lab.events(31, **on("a", "y.exe"))
    lab.clock(60)
    terms = [a["kibana.alert.new_terms"] for a in lab.alerts()]
    assert terms == [["a", "x.exe"], ["b", "y.exe"], ["a", "y.exe"]]


# ----------------------------------------------------------------------------------- suppression


def suppressed(lab: Lab, group_by: list[str], **more: Any) -> None:
    """A query rule whose alerts are suppressed by fields."""
    lab.rule(alert_suppression={"group_by": group_by, **more})


def test_alerts_of_one_run_are_suppressed_by_group(lab: Lab) -> None:
    """One alert per host; it tells how many others it stands for, and from when to when."""
    suppressed(lab, [HOST])
    lab.events(1, 2, 3, **on("a"))
    lab.events(4, **on("b"))
    assert lab.clock(5)["alerts"] == 2
    first, second = lab.alerts()
    assert first["kibana.alert.suppression.terms"] == [{"field": HOST, "value": "a"}]
    assert first["kibana.alert.suppression.docs_count"] == 2
    assert first["kibana.alert.suppression.start"] == "2026-11-23T00:01:00.000Z"
    assert first["kibana.alert.suppression.end"] == "2026-11-23T00:03:00.000Z"
    assert second["kibana.alert.suppression.docs_count"] == 0
    assert first["kibana.alert.instance.id"] != second["kibana.alert.instance.id"]


def test_a_group_may_have_several_values(lab: Lab) -> None:
    """All of them together are the group's value; one of them alone is another group."""
    suppressed(lab, [HOST])
    several = {"host": {"name": ["a", "b"]}}
    lab.events(1, 2, **{**on("a"), **several})
    lab.events(3, **on("a"))
    assert lab.clock(5)["alerts"] == 2
    first, second = lab.alerts()
    assert first["kibana.alert.suppression.terms"] == [{"field": HOST, "value": ["a", "b"]}]
    assert first["kibana.alert.suppression.docs_count"] == 1
    assert second["kibana.alert.suppression.terms"] == [{"field": HOST, "value": "a"}]


def test_suppressed_events_do_not_come_back(lab: Lab) -> None:
    """The overlapping run does not alert on what the last one has suppressed."""
    suppressed(lab, [HOST])
    lab.events(1, 2, 3, **on("a"))
    assert lab.clock(30)["alerts"] == 1


def test_without_the_field_events_are_a_group_or_alert_each(lab: Lab) -> None:
    """`missing_fields_strategy`."""
    suppressed(lab, [HOST])
    suppress_none = {"group_by": [HOST], "missing_fields_strategy": "doNotSuppress"}
    lab.rule(rule_id="each", alert_suppression=suppress_none)
    lab.events(1, 2, 3)
    lab.clock(5)
    by_rule = [a["kibana.alert.rule.rule_id"] for a in lab.alerts()]
    assert sorted(by_rule) == ["each", "each", "each", "wpm"]
    (group,) = [a for a in lab.alerts() if a["kibana.alert.rule.rule_id"] == "wpm"]
    assert group["kibana.alert.suppression.terms"] == [{"field": HOST, "value": None}]


def test_with_a_duration_later_runs_add_to_the_open_alert(lab: Lab) -> None:
    """Until the alert is that old, or somebody closes it."""
    suppressed(lab, [HOST], duration={"value": 20, "unit": "m"})
    lab.events(1, 2, 12, **on("a"))
    assert lab.clock(20)["alerts"] == 1
    (alert,) = lab.alerts()
    assert alert["kibana.alert.suppression.docs_count"] == 2
    assert alert["kibana.alert.suppression.end"] == "2026-11-23T00:12:00.000Z"
    assert alert["@timestamp"] == "2026-11-23T00:05:00.000Z"
    lab.events(41, **on("a"))
    assert lab.clock(45)["alerts"] == 1
    everything = {"query": {"match_all": {}}, "status": "closed"}
    lab.send("POST", "/api/detection_engine/signals/status", everything)
    lab.events(47, **on("a"))
    assert lab.clock(50)["alerts"] == 1


def test_a_preview_adds_to_its_own_open_alert(lab: Lab) -> None:
    """Over its runs as over those of a rule that is saved."""
    lab.events(1, 6, 11, 16, **on("a"))
    grouped = {"group_by": [HOST], "duration": {"value": 1, "unit": "h"}}
    body = {
        "type": "query", "language": "lucene", "name": "p", "description": "d", "severity": "low",
        "risk_score": 1, "index": ["logs-*"], "query": "*", "from": "now-6m", "interval": "5m",
        "alert_suppression": grouped, "invocationCount": 4,
        "timeframeEnd": "2026-11-23T00:20:00.000Z",
    }  # fmt: skip
    lab.send("POST", f"{RULES}/preview", body)
    (alert,) = lab.search(".preview.alerts-security.alerts-default", {})
    assert alert["kibana.alert.suppression.docs_count"] == 3


def test_a_threshold_is_suppressed_for_a_time(lab: Lab) -> None:
    """The bucket's events are added to the open alert."""
    threshold(lab, 2, [HOST], alert_suppression={"duration": {"value": 1, "unit": "h"}})
    lab.events(1, 2, 11, 12, **on("a"))
    assert lab.clock(20)["alerts"] == 1
    (alert,) = lab.alerts()
    assert alert["kibana.alert.suppression.docs_count"] == 3


# ------------------------------------------------------------------------------- previews, status


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "query", "language": "kuery", "query": "process.name: evil.exe"},
        {"type": "threshold", "query": "*", "threshold": {"field": [HOST], "value": 2}},
        {
            "type": "new_terms", "query": "*", "new_terms_fields": [HOST],
            "history_window_start": "now-1h",
        },
        {"type": "esql", "language": "esql", "query": "from logs-* metadata _id"},
    ],
)  # fmt: skip
def test_every_type_previews(lab: Lab, changes: dict[str, Any]) -> None:
    """Alerts lie in the preview index, none in the space's."""
    lab.events(1, 2, **on("a"))
    body = {
        "name": "p", "description": "d", "severity": "low", "risk_score": 21, "from": "now-9m",
        "invocationCount": 1, "timeframeEnd": "2026-11-23T00:09:00.000Z", **changes,
    }  # fmt: skip
    if changes["type"] != "esql":
        body["index"] = ["logs-*"]
    done = lab.send("POST", f"{RULES}/preview", body)
    assert [(log["errors"], log["warnings"]) for log in done["logs"]] == [([], [])]
    query = {"query": {"term": {"kibana.alert.rule.uuid": done["previewId"]}}}
    hits = lab.search(".preview.alerts-security.alerts-default", query)
    assert len(hits) == (2 if changes["type"] in {"query", "esql"} else 1)
    assert hits[0]["kibana.alert.rule.execution.type"] == "manual"
    assert lab.alerts() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "query", "language": "lucene", "query": "process.name:evil.exe"},
        {"type": "eql", "language": "eql", "query": 'any where process.name == "evil.exe"'},
    ],
)
def test_a_preview_logs_the_requests_of_its_runs(lab: Lab, changes: dict[str, Any]) -> None:
    """Sent to Elasticsearch as they are, they find what the runs alert on."""
    lab.events(1, 2, 7, **on("a"))
    body = {
        "name": "p", "description": "d", "severity": "low", "risk_score": 21, "from": "now-5m",
        "invocationCount": 2, "timeframeEnd": "2026-11-23T00:09:00.000Z", "index": ["logs-*"],
        **changes,
    }  # fmt: skip
    assert all("requests" not in log for log in lab.send("POST", PREVIEW, body)["logs"])
    found = []
    for log in lab.send("POST", f"{PREVIEW}?enable_logged_requests=true", body)["logs"]:
        (logged,) = log["requests"]
        line, _, sent = logged["request"].partition("\n")
        method, _, path = line.partition(" ")
        url = f"{lab.running.elasticsearch_url}{path}"
        hits = urllib3.request(method, url, json=json.loads(sent)).json()["hits"]
        found.append(len(hits["events" if changes["type"] == "eql" else "hits"]))
    assert found == [2, 1]


def test_a_long_pause_is_told_as_a_gap(lab: Lab) -> None:
    """By the real clock five runs are made up for; what no window holds is named in seconds."""
    lab.rule()
    lab.clock(5)
    assert "execution_gap_duration_s" not in lab.last()["metrics"]
    lab.send("POST", "/internal/ruledeploy/clock", {"now": None, "run": True})
    last = lab.last()
    assert last["status"] == "partial failure"
    assert last["metrics"]["execution_gap_duration_s"] > 0
    assert "were not queried between this rule execution and the last" in last["message"]
