"""Rules run over ingested events by a clock that only moves when told."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ruledeploy.stack import ApiKey, User, running_stack
from support.stack_lab import INDEX, RULES, START, Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A fresh stack."""
    with running_stack(tmp_path) as running:
        found = Lab(running)
        found.clock(0, run=False)
        yield found


def test_an_event_gives_one_alert_however_often_it_is_seen(lab: Lab) -> None:
    """Nine minutes of look-back every five minutes see most events twice."""
    lab.rule()
    lab.events(1, 6, 11, 16)
    assert lab.clock(30) == {
        "now": "2026-11-23T00:30:00.000Z",
        "simulated": True,
        "runs": 6,
        "alerts": 4,
    }
    assert lab.clock(40)["alerts"] == 0
    assert len(lab.alerts()) == 4


def test_the_alert_is_the_event_and_the_rule(lab: Lab) -> None:
    """Source fields stay; times, ancestors and the rule are told under `kibana.alert`."""
    rule = lab.rule()
    lab.events(3)
    lab.clock(5)
    (alert,) = lab.alerts()
    assert alert["@timestamp"] == "2026-11-23T00:05:00.000Z"
    assert alert["kibana.alert.original_time"] == "2026-11-23T00:03:00.000Z"
    assert alert["process"]["name"] == "evil.exe"
    assert alert["event.kind"] == "signal"
    assert "kind" not in alert["event"]
    assert alert["kibana.alert.original_event.id"] == "e0-3"
    assert alert["kibana.alert.rule.uuid"] == rule["id"]
    assert alert["kibana.alert.rule.rule_id"] == "wpm"
    assert alert["kibana.alert.workflow_status"] == "open"
    assert alert["kibana.space_ids"] == ["default"]
    (ancestor,) = alert["kibana.alert.ancestors"]
    assert ancestor["index"].startswith(".ds-logs-endpoint.events.api-default-")
    assert len(alert["kibana.alert.uuid"]) == 64


def test_the_event_may_override_severity_score_and_name(lab: Lab) -> None:
    """The highest severity that is mapped; a number as the score; a text as the rule's name."""
    levels = (("1", "low"), ("2", "critical"), ("2", "high"))
    lab.rule(
        severity_mapping=[
            {"field": "event.code", "operator": "equals", "value": code, "severity": level}
            for code, level in levels
        ],
        risk_score_mapping=[{"field": "event.risk", "operator": "equals", "value": ""}],
        rule_name_override="event.action",
    )
    lab.events(1, event={"code": "2", "risk": 12.5, "action": "written"})
    lab.events(2, event={"code": "3", "risk": 300})
    lab.clock(5)
    fields = ("kibana.alert.severity", "kibana.alert.risk_score", "kibana.alert.rule.name")
    told = [tuple(alert[field] for field in fields) for alert in lab.alerts()]
    assert told == [("critical", 12.5, "written"), ("high", 73, "Writes")]


def test_exceptions_hold_from_the_run_that_sees_them(lab: Lab) -> None:
    """Items are read when the rule runs, by list_id; the id in the link is ignored."""
    lab.rule(exceptions_list=[lab.listed()])
    lab.events(1)
    lab.clock(5)
    assert len(lab.alerts()) == 1
    lab.item("evil", "evil.exe")
    lab.events(12)
    lab.clock(20)
    assert len(lab.alerts()) == 1


def test_an_expired_item_hides_nothing(lab: Lab) -> None:
    """Compared with the start of each run, also inside one long order to run."""
    lab.rule(exceptions_list=[lab.listed()])
    lab.item("evil", "evil.exe", expire_time="2026-11-23T00:12:00.000Z")
    lab.events(1, 4, 21, 24)
    lab.clock(30)
    times = [a["kibana.alert.original_time"][14:16] for a in lab.alerts()]
    assert times == ["21", "24"]


def test_a_disabled_rule_does_not_run(lab: Lab) -> None:
    """And does not catch up on what it slept through, but for the look-back."""
    lab.rule(enabled=False)
    lab.events(1, 58)
    lab.clock(60)
    assert lab.alerts() == []
    lab.send("PATCH", RULES, {"rule_id": "wpm", "enabled": True})
    assert [a["kibana.alert.original_time"][14:16] for a in lab.alerts()] == ["58"]


def test_max_signals_cuts_a_run_and_says_so(lab: Lab) -> None:
    """The earliest events win; the next overlapping run takes up what is still in its window."""
    lab.rule(max_signals=3, **{"from": "now-5m"})
    lab.events(1, 1.1, 1.2, 1.3, 1.4)
    lab.clock(5)
    assert len(lab.alerts()) == 3
    last = lab.last()
    assert last["status"] == "partial failure"
    assert last["message"].startswith("This rule reached the maximum alert limit")


def test_a_missing_index_is_a_warning(lab: Lab) -> None:
    """Not an error: the rule goes on."""
    lab.rule(index=["logs-nowhere-*"])
    last = lab.last()
    assert (last["status"], last["status_order"]) == ("partial failure", 20)
    assert last["message"].startswith("Unable to find matching indices for rule Writes.")


def test_a_query_that_cannot_run_fails_the_rule_only(lab: Lab) -> None:
    """Other rules run."""
    lab.rule()
    lab.rule(rule_id="bad", query="process.name:(")
    lab.events(1)
    assert lab.clock(5)["alerts"] == 1
    assert lab.last("bad")["status"] == "failed"
    assert lab.last()["status"] == "succeeded"


def test_late_events_are_found_by_their_ingest_time(lab: Lab) -> None:
    """An event from 00:01 that arrives at 00:20 is missed unless the rule looks at ingest time."""
    lab.rule(rule_id="by-time")
    lab.rule(rule_id="by-ingest", timestamp_override="event.ingested")
    ingested = {"id": "late", "ingested": (START + timedelta(minutes=20)).isoformat()}
    lab.events(1, event=ingested)
    lab.clock(30)
    assert [a["kibana.alert.rule.rule_id"] for a in lab.alerts()] == ["by-ingest"]


def test_spaces_have_their_own_alerts(lab: Lab) -> None:
    """The same rule in two spaces writes to two indices."""
    for space in ("dev", "prod"):
        lab.rule(space)
    lab.events(1)
    assert lab.clock(5)["alerts"] == 2
    assert len(lab.alerts("dev")) == len(lab.alerts("prod")) == 1
    assert lab.alerts() == []


@pytest.mark.parametrize(
    ("changes", "alerts"),
    [
        ({"query": "process.name:evil.exe"}, 2),
        ({"query": "*", "index": ["events", "-old"]}, 1),
        ({"type": "eql", "language": "eql", "query": "any where true"}, 2),
        ({"type": "esql", "language": "esql", "query": "from events metadata _id"}, 2),
        ({"type": "esql", "language": "esql", "query": "from events | stats n = count(*)"}, 1),
    ],
)
def test_a_rule_searches_what_an_alias_names(
    lab: Lab, changes: dict[str, Any], alerts: int
) -> None:
    """In every language; an alias may also leave its index out again."""
    for index in ("first", "second"):
        names = ["events", "old"] if index == "second" else ["events"]
        aliases: dict[str, Any] = {name: {} for name in names}
        url = f"{lab.running.elasticsearch_url}/{index}"
        assert urllib3.request("PUT", url, json={"aliases": aliases}).status == 200
        Lab(lab.running, index=index).events(1)
    lab.rule(**{"index": None if changes.get("type") == "esql" else ["events"], **changes})
    assert lab.clock(5)["alerts"] == alerts
    assert lab.last()["status"] == "succeeded"


def test_a_rule_may_search_the_spaces_alerts(lab: Lab) -> None:
    """By their alias, as Kibana's guides have it; such an alert is one deeper."""
    lab.rule()
    lab.rule(rule_id="on alerts", index=[".alerts-security.alerts-default"], query="*")
    lab.events(1)
    lab.clock(5)
    lab.clock(10)
    assert sorted(alert["kibana.alert.depth"] for alert in lab.alerts()) == [1, 2]


def test_an_order_of_very_many_runs_leaves_none_out(lab: Lab) -> None:
    """A week of every minute is more than one pass; the first runs are among them."""
    lab.rule(interval="1m", **{"from": "now-1m"})
    week = 7 * 24 * 60
    lab.events(5.5, week - 5.5)
    told = lab.clock(week)
    assert (told["runs"], told["alerts"]) == (week, 2)
    assert lab.last()["status"] == "succeeded"


def test_a_time_to_start_over_from_forgets_what_was_counted(lab: Lab) -> None:
    """A threshold rule alerts again on events that it had alerted on."""
    lab.rule(type="threshold", threshold={"field": [], "value": 2}, query="*")
    lab.events(1, 2)
    assert lab.clock(5)["alerts"] == 1
    url = f"{lab.running.elasticsearch_url}/.internal.alerts-security.alerts-default-000001"
    assert urllib3.request("DELETE", url).status == 200
    order = {"now": START.isoformat(), "since": START.isoformat()}
    lab.send("POST", "/internal/ruledeploy/clock", order)
    assert lab.clock(5)["alerts"] == 1


def test_a_preview_saves_nothing(lab: Lab) -> None:
    """Its alerts lie in the preview index under the preview's id."""
    lab.events(1, 6)
    body = {
        "type": "query", "language": "lucene", "name": "p", "description": "d",
        "severity": "low", "risk_score": 21, "index": [INDEX], "from": "now-9m",
        "query": "process.name:evil.exe", "invocationCount": 2,
        "timeframeEnd": (START + timedelta(minutes=10)).isoformat(),
    }  # fmt: skip
    done = lab.send("POST", f"{RULES}/preview", body)
    assert [(log["errors"], log["warnings"]) for log in done["logs"]] == [([], [])] * 2
    query = {"query": {"term": {"kibana.alert.rule.uuid": done["previewId"]}}}
    url = f"{lab.running.elasticsearch_url}/.preview.alerts-security.alerts-default/_search"
    assert urllib3.request("POST", url, json=query).json()["hits"]["total"]["value"] == 2
    assert lab.send("GET", f"{RULES}/_find")["total"] == 0
    assert lab.alerts() == []


def test_alerts_are_closed_by_query(lab: Lab) -> None:
    """`signals/status` answers as update_by_query does."""
    lab.rule()
    lab.events(1, 2)
    lab.clock(5)
    body = {"query": {"term": {"kibana.alert.rule.rule_id": "wpm"}}, "status": "closed"}
    assert lab.send("POST", "/api/detection_engine/signals/status", body)["updated"] == 2
    assert {a["kibana.alert.workflow_status"] for a in lab.alerts()} == {"closed"}


def test_alerts_are_counted_by_rule(lab: Lab) -> None:
    """A terms aggregation over the rule's id."""
    lab.rule()
    lab.events(1, 2)
    lab.clock(5)
    field = "kibana.alert.rule.rule_id"
    body = {"size": 0, "aggs": {"rules": {"terms": {"field": field}}}}
    found = lab.send("POST", "/api/detection_engine/signals/search", body)
    assert found["aggregations"]["rules"]["buckets"] == [{"key": "wpm", "doc_count": 2}]


def test_a_rule_stops_with_the_key_that_enabled_it(tmp_path: Path) -> None:
    """It stores the request's key, and runs until that key expires."""
    expires = START + timedelta(minutes=12)
    key = ApiKey("k", "s", role="writer", expires=expires)
    who = f"ApiKey {base64.b64encode(b'k:s').decode()}"
    admin = f"Basic {base64.b64encode(b'a:b').decode()}"
    with running_stack(tmp_path, users=(User("a", "b"),), api_keys=(key,)) as running:
        boss = Lab(running, admin)
        boss.clock(0, run=False)
        Lab(running, who).rule()
        boss.events(1, 17)
        assert boss.clock(30)["alerts"] == 1
        assert boss.last()["status"] == "failed"
        assert "unable to authenticate" in boss.last()["message"]
        rule = boss.send("GET", f"{RULES}?rule_id=wpm")
        path = f"/api/alerting/rule/{rule['id']}/_update_api_key"
        url = running.kibana_url + path
        assert urllib3.request("POST", url, headers=boss.headers).status == 204
        boss.events(33)
        assert boss.clock(40)["alerts"] == 1


def test_a_key_that_may_not_read_an_index_is_told(tmp_path: Path) -> None:
    """The rule runs over what its key may read, as a search does; ES|QL fails."""
    boss, who = _basic("a:b"), "logs-windows.*"
    with running_stack(tmp_path, users=(User("a", "b"),)) as running:
        lab = Lab(running, boss)
        lab.clock(0, run=False)
        rights = {"r": {"indices": [{"names": [who], "privileges": ["read"]}]}}
        url = f"{running.elasticsearch_url}/_security/api_key"
        body = {"name": "k", "role_descriptors": rights}
        key = urllib3.request("POST", url, json=body, headers=lab.headers).json()
        limited = Lab(running, f"ApiKey {key['encoded']}")
        limited.rule(index=["logs-*"], query="*:*")
        query = "from logs-* metadata _id"
        limited.rule(rule_id="esql", type="esql", language="esql", query=query, index=None)
        lab.events(1)
        Lab(running, boss, "logs-windows.sysmon_operational-default").events(2, 3)
        assert lab.clock(5)["alerts"] == 2
        last = lab.last()
        assert last["status"] == "partial failure"
        assert last["message"].startswith("This rule may not have the required read privileges")
        assert '["logs-*"]' in last["message"]
        assert "is unauthorized for API key" in lab.last("esql")["message"]


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def test_a_rule_that_is_enabled_again_starts_anew(lab: Lab) -> None:
    """It runs at once and then by its interval; what it slept through is no gap."""
    lab.rule()
    lab.clock(10)
    for enabled in (False, True):
        lab.clock(62 if enabled else 12, run=False)
        rule = lab.send("GET", f"{RULES}?rule_id=wpm")
        body = {"action": "enable" if enabled else "disable", "ids": [rule["id"]]}
        lab.send("POST", f"{RULES}/_bulk_action", body)
    assert lab.last()["date"] == "2026-11-23T01:02:00.000Z"
    assert lab.last()["status"] == "partial failure"  # no event yet, so no index
    assert "not queried" not in lab.last()["message"]
    assert lab.clock(66)["runs"] == 0
    assert lab.clock(67)["runs"] == 1


def test_the_clock_outlives_the_process(tmp_path: Path) -> None:
    """A simulated time is kept in the data folder; null returns to the real clock."""
    with running_stack(tmp_path) as running:
        Lab(running).clock(5, run=False)
    with running_stack(tmp_path) as running:
        lab = Lab(running)
        found = lab.send("GET", "/internal/ruledeploy/clock")
        assert found == {"now": "2026-11-23T00:05:00.000Z", "simulated": True}
        lab.send("POST", "/internal/ruledeploy/clock", {"now": None})
        assert lab.send("GET", "/internal/ruledeploy/clock")["simulated"] is False


def test_without_a_simulated_time_an_enabled_rule_runs_at_once(tmp_path: Path) -> None:
    """Right after the answer, by the real clock."""
    with running_stack(tmp_path) as running:
        lab = Lab(running)
        lab.rule()
        assert lab.last()["status"] == "partial failure"


def test_an_enabled_rule_runs_again_by_the_real_clock(tmp_path: Path) -> None:
    """Nobody has to order it."""
    with running_stack(tmp_path) as running:
        lab = Lab(running)
        lab.rule(interval="1s")
        first, until = lab.last()["date"], time.monotonic() + 10
        while lab.last()["date"] == first and time.monotonic() < until:
            time.sleep(0.1)
        assert lab.last()["date"] > first


def test_one_order_runs_as_tick_by_tick_does(tmp_path: Path) -> None:
    """Hits of one evaluation over an hour fall to the runs that would have found them."""
    found = []
    for name, steps in (("one", [60]), ("many", range(5, 61, 5))):
        with running_stack(tmp_path / name) as running:
            lab = Lab(running)
            lab.clock(0, run=False)
            link = lab.listed()
            lab.rule(exceptions_list=[link], max_signals=3)
            lab.rule(rule_id="ingest", timestamp_override="event.ingested")
            lab.item("a", "evil.exe", expire_time=(START + timedelta(minutes=31)).isoformat())
            lab.events(*(n * 0.7 for n in range(80)))
            late = {"id": "late", "ingested": (START + timedelta(minutes=44)).isoformat()}
            lab.events(38.5, event=late, process={"Ext": {"api": {"name": "WriteProcessMemory"}}})
            for step in steps:
                lab.clock(step)
            found.append(
                sorted(
                    (
                        a["kibana.alert.rule.rule_id"],
                        a["kibana.alert.original_time"],
                        a["@timestamp"],
                    )
                    for a in lab.alerts()
                )
            )
    assert found[0] == found[1]
    assert len(found[0]) > 40
