"""A stack with a clock that only moves when told, and the few calls that tests of runs make."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import urllib3

from ruledeploy.stack import Running

RULES = "/api/detection_engine/rules"
INDEX = "logs-endpoint.events.api-default"
START = datetime(2026, 11, 23, tzinfo=UTC)


class Lab:
    """A stack with its clock at `START`, and the few calls these tests make."""

    def __init__(self, running: Running, who: str = "", index: str = INDEX) -> None:
        self.running = running
        self.index = index
        self.headers = {"kbn-xsrf": "x"} | ({"authorization": who} if who else {})

    def send(self, method: str, path: str, body: Any = None, space: str = "") -> Any:
        """A request to Kibana; the decoded answer of a success."""
        url = self.running.kibana_url + (f"/s/{space}" if space else "") + path
        reply = urllib3.request(
            method, url, json=body, headers=self.headers, retries=False, timeout=60
        )
        assert reply.status == 200, reply.data
        return reply.json()

    def clock(self, minutes: float, *, run: bool = True) -> Any:
        """Set the time so many minutes after the start, and run what is due."""
        now = (START + timedelta(minutes=minutes)).isoformat()
        return self.send("POST", "/internal/ruledeploy/clock", {"now": now, "run": run})

    def rule(self, space: str = "", **changes: Any) -> Any:
        """An enabled rule on WriteProcessMemory, every five minutes over the last nine.

        A change to None leaves the field out.
        """
        body = {
            "rule_id": "wpm", "name": "Writes", "description": "d", "severity": "high",
            "risk_score": 73, "type": "query", "language": "lucene",
            "index": [f"{self.index[:-7]}*"],
            "query": "process.Ext.api.name:WriteProcessMemory", "from": "now-9m",
            "interval": "5m", "enabled": True,
        }  # fmt: skip
        sent = {key: value for key, value in (body | changes).items() if value is not None}
        return self.send("POST", RULES, sent, space)

    def events(self, *minutes: float, **changes: Any) -> None:
        """One write per minute named, from `evil.exe` unless changed."""
        lines = []
        for n, minute in enumerate(minutes):
            at = (START + timedelta(minutes=minute)).isoformat()
            event = {
                "@timestamp": at,
                "event": {"id": f"e{n}-{minute}", "kind": "event", "category": ["api"]},
                "process": {"name": "evil.exe", "Ext": {"api": {"name": "WriteProcessMemory"}}},
                **changes,
            }
            lines += [json.dumps({"create": {"_index": self.index}}), json.dumps(event)]
        reply = urllib3.request(
            "POST",
            f"{self.running.elasticsearch_url}/_bulk?refresh=true",
            body="\n".join(lines) + "\n",
            headers=self.headers | {"content-type": "application/x-ndjson"},
        )
        assert reply.json()["errors"] is False

    def alerts(self, space: str = "") -> list[Any]:
        """All alerts of a space, by the time of their event."""
        body = {"size": 1000, "sort": [{"kibana.alert.original_time": "asc"}]}
        found = self.send("POST", "/api/detection_engine/signals/search", body, space)
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def search(self, index: str, body: Any) -> list[Any]:
        """Sources of the hits of a search on the Elasticsearch side."""
        url = f"{self.running.elasticsearch_url}/{index}/_search"
        found = urllib3.request("POST", url, json=body, headers=self.headers).json()
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def last(self, rule_id: str = "wpm", space: str = "") -> Any:
        """How the rule's last run went."""
        found = self.send("GET", f"{RULES}?rule_id={rule_id}", space=space)
        return found["execution_summary"]["last_execution"]

    def item(self, item_id: str, process: str, **changes: Any) -> None:
        """An exception item in list `l` for a process name."""
        entry = {
            "field": "process.name", "type": "match", "operator": "included", "value": process,
        }  # fmt: skip
        body = {
            "list_id": "l", "item_id": item_id, "type": "simple", "name": item_id,
            "description": "d", "entries": [entry],
        }  # fmt: skip
        self.send("POST", "/api/exception_lists/items", body | changes)

    def listed(self) -> dict[str, str]:
        """List `l`, and a link to it with a wrong id, which does not matter."""
        body = {"list_id": "l", "name": "l", "description": "d", "type": "detection"}
        self.send("POST", "/api/exception_lists", body)
        return {"id": "0", "list_id": "l", "type": "detection", "namespace_type": "single"}
