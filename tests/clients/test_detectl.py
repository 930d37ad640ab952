"""detectl: rules, value lists, alerts and searches through its command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.clients import Install
from support.contract import Client
from support.stack_process import API_KEY, StackProcess

RULES = "/api/detection_engine/rules"
Detectl = Callable[..., Any]


@pytest.fixture
def detectl(install: Install, stack: StackProcess) -> Detectl:
    """Runs `detectl -p elastic …` and returns the JSON it prints, or its text."""
    program = install("detectl", (3, 11))

    def run(*arguments: str, code: int = 0) -> Any:
        done = program.run(
            "detectl", "-p", "elastic", *arguments,
            env={
                "ELASTIC_KIBANA_BASE_URL": stack.kibana_url,
                "ELASTIC_ES_BASE_URL": stack.elasticsearch_url,
                "ELASTIC_API_KEY": API_KEY,
            },
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        printed = done.stdout or done.stderr
        return json.loads(printed) if printed[:1] in {"{", "["} else printed

    return run


def written(path: Path, **content: Any) -> str:
    """A file for `-f`."""
    path.write_text(json.dumps(content), "utf-8")
    return str(path)


def test_rules(detectl: Detectl, kibana: Client, tmp_path: Path) -> None:
    """Create, list, get, update, enable, disable, delete."""
    assert "connected" in detectl("test-connection")
    file = written(tmp_path / "r.json", name="One", query="process.name: a", severity="high",
                   enabled=False, tags=["detectl"])  # fmt: skip
    made = detectl("rules", "create", "-f", file)
    live = kibana("GET", f"{RULES}?id={made['id']}").body
    assert (live["name"], live["risk_score"], live["enabled"]) == ("One", 73, False)
    assert made["id"] in [rule["id"] for rule in detectl("rules", "list")]
    assert detectl("rules", "get", made["id"])["query"] == "process.name: a"

    file = written(tmp_path / "r.json", name="Two", query="process.name: b", enabled=False)
    detectl("rules", "update", made["id"], "-f", file)
    live = kibana("GET", f"{RULES}?id={made['id']}").body
    # Its PUT leaves `index` and `tags` out, so they are gone.
    assert (live["name"], live["revision"], live["tags"]) == ("Two", 1, [])
    assert "index" not in live

    detectl("rules", "enable", made["id"])
    assert kibana("GET", f"{RULES}?id={made['id']}").body["enabled"] is True
    detectl("rules", "disable", made["id"])
    assert kibana("GET", f"{RULES}?id={made['id']}").body["enabled"] is False
    detectl("rules", "delete", made["id"])
    assert kibana("GET", f"{RULES}?id={made['id']}").status == 404
    assert "404" in detectl("rules", "get", made["id"], code=1)


def test_value_lists(detectl: Detectl, kibana: Client, tmp_path: Path) -> None:
    """Create with items, list by its own kind, replace, add, remove, delete."""
    kibana("POST", "/api/lists/index")
    file = written(tmp_path / "l.json", id="bad", name="Bad", kind="blocklist", items=["a", "b"])
    assert detectl("lists", "create", "-f", file)["items"] == ["a", "b"]
    assert kibana("GET", "/api/lists?id=bad").body["meta"] == {"detectl_kind": "blocklist"}
    assert [x["id"] for x in detectl("lists", "list", "--kind", "blocklist")] == ["bad"]
    file = written(tmp_path / "l.json", name="Worse", kind="blocklist", items=["c"])
    detectl("lists", "update", "bad", "-f", file)
    detectl("lists", "add-items", "bad", "-i", "d", "-i", "e")
    detectl("lists", "remove-items", "bad", "-i", "d")
    found = kibana("GET", "/api/lists/items/_find?list_id=bad").body
    assert sorted(item["value"] for item in found["data"]) == ["c", "e"]
    assert kibana("GET", "/api/lists?id=bad").body["name"] == "Worse"
    detectl("lists", "delete", "bad")
    assert kibana("GET", "/api/lists?id=bad").status == 404


def test_alerts_and_searches(detectl: Detectl, kibana: Client, stack: StackProcess) -> None:
    """A search of its own finds an event; an alert is listed, closed and read back."""
    index = f"{stack.elasticsearch_url}/detectl-events/_doc/1?refresh=true"
    event = {"@timestamp": "2026-01-01T00:00:00Z", "process": {"name": "mimikatz.exe"}}
    sent = {"authorization": f"ApiKey {API_KEY}"}
    kibana.pool.request("PUT", index, json=event, headers=sent)
    query = json.dumps({"match": {"process.name": "mimikatz.exe"}})
    assert [row["_id"] for row in detectl("query", query)["rows"]] == ["1"]
    assert [row["_id"] for row in detectl("query", "process.name:mimikatz.exe")["rows"]] == ["1"]

    rule = {
        "rule_id": "detectl-alerts", "type": "query", "name": "Alerts", "description": "d",
        "severity": "low", "risk_score": 21, "query": "process.name: mimikatz.exe",
        "index": ["detectl-events"], "from": "now-100000h", "enabled": True,
    }  # fmt: skip
    assert kibana("POST", RULES, rule).status == 200
    alerts = detectl("alerts", "list")
    assert len(alerts) == 1
    assert detectl("alerts", "set-status", alerts[0]["id"], "closed")["id"] == alerts[0]["id"]
    search = {"query": {"ids": {"values": [alerts[0]["id"]]}}}
    found = kibana("POST", "/api/detection_engine/signals/search", search).body["hits"]["hits"]
    assert found[0]["_source"]["kibana.alert.workflow_status"] == "closed"
    assert "not found" in detectl("alerts", "get", "nobody", code=1)
    kibana("DELETE", f"{RULES}?rule_id=detectl-alerts")
