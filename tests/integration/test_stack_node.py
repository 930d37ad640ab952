"""The local stack in front of a real node: events and alerts there, its rules run by it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from elasticsearch import Elasticsearch

from ruledeploy.errors import ServerError
from ruledeploy.stack import Running, User, running_stack
from support.elasticsearch_node import FreshIndex, Node
from support.stack_lab import RULES, Lab

MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "event": {"properties": {"id": {"type": "keyword"}, "ingested": {"type": "date"}}},
        "host": {"properties": {"name": {"type": "keyword"}}},
        "process": {"properties": {"name": {"type": "keyword"}, "pid": {"type": "long"}}},
    }
}
HOST = "host.name"


@pytest.fixture
def place(node: Node, fresh_index: FreshIndex) -> Iterator[tuple[str, str]]:
    """An index for events, and a space whose alerts are deleted afterwards."""
    index = fresh_index("default")
    space = index.removesuffix("-default")
    yield index, space
    kinds = ("", ".preview")
    names = [f".internal{kind}.alerts-security.alerts-{space}-000001" for kind in kinds]
    node.client.indices.delete(index=names, ignore_unavailable=True)


class SpaceLab(Lab):
    """A lab whose every request goes to one space."""

    def __init__(self, running: Running, index: str, space: str) -> None:
        super().__init__(running, index=index)
        self.space = space

    def send(self, method: str, path: str, body: Any = None, space: str = "") -> Any:
        """A request in the space."""
        return super().send(method, path, body, space or self.space)


def on(host: str, process: str, pid: int = 1) -> dict[str, Any]:
    """What tells the events of one host and process."""
    return {"host": {"name": host}, "process": {"name": process, "pid": pid}}


def play(lab: Lab) -> tuple[list[Any], list[Any]]:
    """Rules of every type over one hour; the alerts and how the last runs went."""
    made = urllib3.request(
        "PUT", f"{lab.running.elasticsearch_url}/{lab.index}", json={"mappings": MAPPINGS}
    )
    assert made.status == 200, made.data
    lab.clock(0, run=False)
    link = lab.listed()
    lab.item("good", "good.exe")
    lab.item("late", "late.exe", expire_time="2026-11-23T00:22:00.000Z")
    query: dict[str, Any] = {"query": "process.name:*.exe", "exceptions_list": [link]}
    lab.rule(rule_id="lucene", **query)
    lab.rule(rule_id="kuery", language="kuery", query="process.name: e* and process.pid >= 2")
    statement = f'from {lab.index} metadata _id | where {HOST} == "b"'
    counted = f"from {lab.index} | stats n = count(*) by {HOST} | where n >= 3"
    lab.rule(rule_id="rows", type="esql", language="esql", query=counted, index=None)
    lab.rule(rule_id="esql", type="esql", language="esql", query=statement, index=None)
    lab.rule(
        rule_id="threshold", type="threshold", threshold={"field": [HOST], "value": 3}, **query
    )
    terms: dict[str, Any] = {
        "new_terms_fields": [HOST, "process.name"],
        "history_window_start": "now-30m",
    }
    lab.rule(rule_id="new", type="new_terms", **terms, **query)
    grouped: dict[str, Any] = {"group_by": [HOST], "duration": {"value": 15, "unit": "m"}}
    lab.rule(rule_id="grouped", alert_suppression=grouped, **query)
    outside = [{"meta": {"negate": True}, "query": {"term": {HOST: "b"}}}]
    lab.rule(rule_id="filtered", filters=outside, **query)
    lab.rule(rule_id="few", max_signals=1, **query)
    lab.rule(rule_id="nowhere", index=["nowhere-to-be-found-*"])
    lab.rule(rule_id="override", timestamp_override="event.ingested", **query)
    lab.rule(rule_id="broken", query="process.name:(")
    lab.rule(rule_id="eql", type="eql", language="eql", query="sequence [any where true]")
    for minute, host in ((1, "a"), (2, "a"), (3, "a"), (9, "b"), (20, "b"), (33, "a"), (50, "c")):
        lab.events(minute, **on(host, "evil.exe", minute))
        lab.events(minute + 0.5, **on(host, "good.exe"))
    lab.events(15, 25, **on("a", "late.exe"))
    for happened in (12.0, 12.5, 13.0):
        late = {"id": f"d-{happened}", "ingested": "2026-11-23T00:18:00.000Z"}
        lab.events(happened, event=late, **on("d", "evil.exe"))
    for minute in (10, 35, 60):
        lab.clock(minute)
    keys = ("new_terms", "threshold_result", "suppression.docs_count", "original_time", "depth")
    alerts = [
        {
            "rule": alert["kibana.alert.rule.rule_id"],
            "at": alert["@timestamp"],
            "n": alert.get("n"),
            **{key: alert[f"kibana.alert.{key}"] for key in keys if f"kibana.alert.{key}" in alert},
        }
        for alert in lab.alerts()
    ]
    rules = lab.send("GET", f"{RULES}/_find?per_page=100")["data"]
    lasts = {rule["rule_id"]: rule["execution_summary"]["last_execution"] for rule in rules}
    statuses = [(rule_id, last["status"]) for rule_id, last in sorted(lasts.items())]
    return sorted(alerts, key=str), statuses


def test_the_node_and_the_store_give_the_same_alerts(
    node: Node, place: tuple[str, str], tmp_path: Path
) -> None:
    """Every type of rule, exceptions, suppression, limits and failures, over an hour."""
    index, space = place
    played = []
    for name, url in (("node", node.url), ("store", "")):
        with running_stack(tmp_path / name, elasticsearch=url) as running:
            played.append(play(SpaceLab(running, index, space)))
    assert played[0] == played[1]
    alerts, statuses = played[0]
    assert {alert["rule"] for alert in alerts} == {
        *("lucene", "kuery", "esql", "rows", "threshold"),
        *("new", "grouped", "filtered", "few", "override"),
    }
    assert dict(statuses)["nowhere"] == "partial failure"
    assert dict(statuses)["broken"] == dict(statuses)["eql"] == "failed"


def test_indices_may_share_an_id(
    node: Node, place: tuple[str, str], fresh_index: FreshIndex, tmp_path: Path
) -> None:
    """Of two events with one id only that which the rule's query finds alerts."""
    index, space = place
    other = fresh_index("other")
    with running_stack(tmp_path, elasticsearch=node.url) as running:
        lab = SpaceLab(running, index, space)
        lab.clock(0, run=False)
        lab.rule(index=[index, other], query="process.name:evil.exe")
        for name, process in ((index, "evil.exe"), (other, "good.exe")):
            event = {"@timestamp": "2026-11-23T00:01:00.000Z", "process": {"name": process}}
            node.client.index(index=name, id="same", document=event, refresh=True)
        lab.clock(5)
        assert [alert["process"]["name"] for alert in lab.alerts()] == ["evil.exe"]


def test_alerts_lie_in_the_node_and_are_closed_there(
    node: Node, place: tuple[str, str], tmp_path: Path
) -> None:
    """Under Kibana's own names, through the alias; a preview's under its own."""
    index, space = place
    with running_stack(tmp_path, elasticsearch=node.url) as running:
        lab = SpaceLab(running, index, space)
        lab.clock(0, run=False)
        lab.events(1, 2, **on("a", "evil.exe"))
        lab.rule(query="process.name:evil.exe")
        assert lab.clock(5)["alerts"] == 2
        closing = {"query": {"term": {HOST: "a"}}, "status": "closed", "reason": "duplicate"}
        lab.send("POST", "/api/detection_engine/signals/status", closing)
        preview = {
            "type": "query", "language": "lucene", "name": "p", "description": "d",
            "severity": "low", "risk_score": 21, "index": [index], "from": "now-9m",
            "query": "process.name:evil.exe", "invocationCount": 1,
            "timeframeEnd": "2026-11-23T00:09:00.000Z",
        }  # fmt: skip
        done = lab.send("POST", f"{RULES}/preview", preview)
        assert done["logs"][0]["errors"] == []
    found = node.client.search(index=f".alerts-security.alerts-{space}")
    sources = [hit["_source"] for hit in found["hits"]["hits"]]
    assert [source["kibana.alert.workflow_status"] for source in sources] == ["closed"] * 2
    query: dict[str, Any] = {"term": {"kibana.alert.rule.uuid": done["previewId"]}}
    previewed = node.client.search(index=f".preview.alerts-security.alerts-{space}", query=query)
    assert previewed["hits"]["total"]["value"] == 2


def test_the_elasticsearch_side_is_the_nodes(
    node: Node, fresh_index: FreshIndex, tmp_path: Path
) -> None:
    """The official client's requests pass through, and refusals; users are the stack's own."""
    index = fresh_index("passed%on")  # the sign must stay encoded on its way
    users = (User("ann", "secret"), User("ray", "secret", "reader"))
    with running_stack(tmp_path, elasticsearch=node.url, users=users) as running:
        with Elasticsearch(running.elasticsearch_url, basic_auth=("ann", "secret")) as client:
            client.index(index=index, id="a/b ü", document={"n": 1}, refresh=True)
            assert client.get(index=index, id="a/b ü")["_source"] == {"n": 1}
            assert client.count(index=index)["count"] == 1
            assert not client.exists(index=index, id="c")
            assert client.security.authenticate()["username"] == "ann"
        url = f"{running.elasticsearch_url}/{index.replace('%', '%25')}"
        refused = urllib3.request("POST", f"{url}/_search", json={"no": 1}, headers=_basic("ann"))
        assert refused.status == 400
        assert refused.json()["error"]["root_cause"][0]["type"] == "parsing_exception"
        assert urllib3.request("GET", f"{url}/_count").status == 401
        assert urllib3.request("POST", f"{url}/_search", headers=_basic("ray")).status == 200
        writing = urllib3.request("POST", f"{url}/_doc", json={}, headers=_basic("ray"))
        assert writing.status == 403
    assert node.client.count(index=index)["count"] == 1


def _basic(user: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{user}:secret'.encode()).decode()}"}


def test_a_node_that_is_not_there_keeps_the_stack_from_starting(tmp_path: Path) -> None:
    """Said at once, with its URL, and without the password that stood in it."""
    url = "http://elastic:secret@127.0.0.1:9"
    with pytest.raises(ServerError) as caught, running_stack(tmp_path, elasticsearch=url):
        pass
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)
