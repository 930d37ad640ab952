"""The alert document that Kibana's query rules write, and its id."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ruledeploy.engine.sources import stream_name
from ruledeploy.stack.clock import iso
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.store import Saved

_RULE_TYPES = {
    "eql": ("siem.eqlRule", "Event Correlation Rule"),
    "esql": ("siem.esqlRule", "ES|QL Rule"),
    "machine_learning": ("siem.mlRule", "Machine Learning Rule"),
    "new_terms": ("siem.newTermsRule", "New Terms Rule"),
    "query": ("siem.queryRule", "Custom Query Rule"),
    "saved_query": ("siem.savedQueryRule", "Saved Query Rule"),
    "threat_match": ("siem.indicatorRule", "Indicator Match Rule"),
    "threshold": ("siem.thresholdRule", "Threshold Rule"),
}
# Fields of the body that become `kibana.alert.rule.<name>` as they are.
_COPIED = (
    "author", "building_block_type", "created_at", "created_by", "description", "enabled",
    "false_positives", "from", "immutable", "interval", "license", "max_signals", "name", "note",
    "references", "revision", "risk_score_mapping", "rule_id", "rule_name_override",
    "severity_mapping", "tags", "threat", "timestamp_override", "to", "type", "updated_at",
    "updated_by", "version",
)  # fmt: skip
_NOT_PARAMETERS = {
    "id", "name", "tags", "enabled", "actions", "interval", "created_at", "created_by",
    "updated_at", "updated_by", "revision",
}  # fmt: skip


def alerts_index(space: str) -> str:
    """The index that holds a space's alerts."""
    return f".internal.alerts-security.alerts-{space}-000001"


def alerts_alias(space: str) -> str:
    """The alias under which a space's alerts are read."""
    return f".alerts-security.alerts-{space}"


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one rule: its time and id, and whether somebody asked for it (`manual`)."""

    rule: Saved
    at: datetime
    id: str
    kibana_version: str
    preview_id: str | None = None


def alert_id(event: Stored, rule: Saved) -> str:
    """SHA-256 over index, document id, version and `<space>:<rule id>`.

    The same event twice gives the same alert, so overlapping runs do not repeat it.
    """
    text = f"{event.index}{event.id}{event.version}{rule.space}:{rule.id}"
    return hashlib.sha256(text.encode()).hexdigest()


def alert(execution: Execution, event: Stored, original_time: str) -> dict[str, Any]:
    """The alert for one event: the event itself, `event.kind` signal, and `kibana.alert.*`."""
    rule = execution.rule
    body, now = rule.body, iso(execution.at)
    identity = alert_id(event, rule)
    source = {k: v for k, v in event.source.items() if k not in {"event", "@timestamp"}}
    inner = event.source.get("event")
    original = inner if isinstance(inner, dict) else {}
    return {
        **source,
        "@timestamp": now,
        "event": {**original, "kind": "signal"},
        "kibana.alert.ancestors": [
            {"id": event.id, "type": "event", "index": event.index, "depth": 0}
        ],
        "kibana.alert.depth": 1,
        "kibana.alert.intended_timestamp": now,
        "kibana.alert.last_detected": now,
        **{f"kibana.alert.original_event.{k}": v for k, v in original.items()},
        "kibana.alert.original_time": original_time,
        "kibana.alert.reason": _reason(event, body),
        "kibana.alert.risk_score": body["risk_score"],
        "kibana.alert.severity": body["severity"],
        "kibana.alert.start": now,
        "kibana.alert.status": "active",
        "kibana.alert.url": f"/app/security/alerts/redirect/{identity}"
        f"?index={alerts_alias(rule.space)}&timestamp={now}",
        "kibana.alert.uuid": identity,
        "kibana.alert.workflow_assignee_ids": [],
        "kibana.alert.workflow_status": "open",
        "kibana.alert.workflow_tags": [],
        **_building_block(body),
        **_rule_fields(execution),
        "kibana.space_ids": [rule.space],
        "kibana.version": execution.kibana_version,
    }


def _building_block(body: dict[str, Any]) -> dict[str, Any]:
    kind = body.get("building_block_type")
    return {"kibana.alert.building_block_type": kind} if kind else {}


def _rule_fields(execution: Execution) -> dict[str, Any]:
    body = execution.rule.body
    type_id, category = _RULE_TYPES[body["type"]]
    own = {
        **{key: body[key] for key in _COPIED if key in body},
        "actions": body["actions"],
        "category": category,
        "consumer": "siem",
        "execution.uuid": execution.id,
        "execution.type": "manual" if execution.preview_id else "scheduled",
        "indices": body.get("index", []),
        "parameters": {k: v for k, v in body.items() if k not in _NOT_PARAMETERS},
        "producer": "siem",
        "risk_score": body["risk_score"],
        "rule_type_id": type_id,
        "severity": body["severity"],
        "uuid": execution.preview_id or execution.rule.id,
    }
    if execution.preview_id:
        own.pop("rule_id")
    return {f"kibana.alert.rule.{key}": value for key, value in own.items()}


def _reason(event: Stored, body: dict[str, Any]) -> str:
    """A sentence for the analyst, from the fields most events have."""
    parts = []
    for label, path in (
        ("process", "process.name"),
        ("file", "file.name"),
        ("source", "source.ip"),
        ("by", "user.name"),
        ("on", "host.name"),
    ):
        value: Any = event.source
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str):
            parts.append(f"{label} {value}")
    where = ", ".join(parts)
    kind = stream_name(event.index).partition("-")[0] or "event"
    happened = f" with {where}," if where else ""
    return f"{kind} event{happened} created {body['severity']} alert {body['name']}."


def execution_id() -> str:
    """A fresh id for a run."""
    return str(uuid.uuid4())
