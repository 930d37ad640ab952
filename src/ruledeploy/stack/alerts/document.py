"""The alert document that Kibana's rules write."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ruledeploy.stack.alertingtypes import ALERTING_TYPES
from ruledeploy.stack.alerts.events import index_type
from ruledeploy.stack.alerts.hits import Finding
from ruledeploy.stack.alerts.kept import alerts_alias
from ruledeploy.stack.alerts.overrides import overrides
from ruledeploy.stack.clock import iso
from ruledeploy.stack.es.documents import moment
from ruledeploy.stack.store import Saved

# Fields of the body that become `kibana.alert.rule.<name>` as they are.
_COPIED = (
    "author", "building_block_type", "created_at", "created_by", "description", "enabled",
    "exceptions_list", "false_positives", "from", "immutable", "interval", "license",
    "max_signals", "name", "note", "references", "revision", "risk_score_mapping", "rule_id",
    "rule_name_override",
    "severity_mapping", "tags", "threat", "timestamp_override", "to", "type", "updated_at",
    "updated_by", "version",
)  # fmt: skip
_NOT_PARAMETERS = {
    "id", "name", "tags", "enabled", "actions", "interval", "created_at", "created_by",
    "updated_at", "updated_by", "revision", "output_index",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one rule: its time and id, and whether somebody asked for it (`manual`)."""

    rule: Saved
    at: datetime
    id: str
    kibana_version: str
    preview_id: str | None = None


def alert(execution: Execution, finding: Finding, event: dict[str, Any] | None) -> dict[str, Any]:
    """The alert for a finding: what was found, `event.kind` signal, and `kibana.alert.*`.

    `event` is the source of the finding's event; None for a finding that is none. Kibana writes
    `event.kind` with a dot beside the event's own object, which has none (seen in 9.5.1).
    """
    rule, now = execution.rule, iso(execution.at)
    body, found = rule.body, finding.source if event is None else event
    inner = found.get("event")
    original = inner if isinstance(inner, dict) else {}
    kept = {key: value for key, value in original.items() if key != "kind"}
    ancestors = _ancestors(finding, found, body)
    return {
        **{k: v for k, v in found.items() if k not in {"event", "@timestamp"}},
        "@timestamp": now,
        **({"event": kept} if kept else {}),
        "event.kind": "signal",
        "kibana.alert.ancestors": ancestors,
        "kibana.alert.depth": ancestors[-1]["depth"] + 1,
        "kibana.alert.intended_timestamp": now,
        "kibana.alert.last_detected": now,
        **{f"kibana.alert.original_event.{k}": v for k, v in original.items()},
        "kibana.alert.original_time": iso(moment(finding.time)),
        "kibana.alert.reason": _reason(finding, found, body),
        "kibana.alert.start": now,
        "kibana.alert.status": "active",
        "kibana.alert.url": f"/app/security/alerts/redirect/{finding.id}"
        f"?index={alerts_alias(rule.space)}&timestamp={now}",
        "kibana.alert.uuid": finding.id,
        "kibana.alert.workflow_assignee_ids": [],
        "kibana.alert.workflow_status": "open",
        "kibana.alert.workflow_tags": [],
        **_building_block(body),
        **{f"kibana.alert.{key}": value for key, value in finding.extra.items()},
        **_rule_fields(execution),
        **overrides(body, found),
        "kibana.space_ids": [rule.space],
        "kibana.version": execution.kibana_version,
    }


def _ancestors(
    finding: Finding, found: Mapping[str, Any], body: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Where the alert comes from; an alert on an alert is one deeper than that."""
    if finding.hit is None:
        index = ",".join(body.get("index", ()))  # an ES|QL query names its own
        return [{"id": finding.id, "type": "event", "index": index, "depth": 0}]
    depth = found.get("kibana.alert.depth")
    own = {
        "id": finding.hit.id,
        "type": "event" if depth is None else "signal",
        "index": finding.hit.index,
        "depth": depth or 0,
    }
    return [*found.get("kibana.alert.ancestors", ()), own]


def _building_block(body: dict[str, Any]) -> dict[str, Any]:
    kind = body.get("building_block_type")
    return {"kibana.alert.building_block_type": kind} if kind else {}


def _rule_fields(execution: Execution) -> dict[str, Any]:
    body = execution.rule.body
    type_id, category = ALERTING_TYPES[body["type"]]
    own = {
        **{key: body[key] for key in _COPIED if key in body},
        "actions": body["actions"],
        "category": category,
        "consumer": "siem",
        "execution.timestamp": iso(execution.at),
        "execution.uuid": execution.id,
        "execution.type": "manual" if execution.preview_id else "scheduled",
        "indices": body.get("index", []),
        "parameters": {k: v for k, v in body.items() if k not in _NOT_PARAMETERS},
        "producer": "preview-producer" if execution.preview_id else "siem",
        "risk_score": body["risk_score"],
        "rule_type_id": type_id,
        "severity": body["severity"],
        "uuid": execution.preview_id or execution.rule.id,
    }
    if execution.preview_id:
        own.pop("rule_id")
    return {f"kibana.alert.rule.{key}": value for key, value in own.items()}


def _reason(finding: Finding, found: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A sentence for the analyst, from the fields most events have."""
    parts = []
    for label, path in (
        ("process", "process.name"),
        ("file", "file.name"),
        ("source", "source.ip"),
        ("by", "user.name"),
        ("on", "host.name"),
    ):
        value: Any = found
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        value = found.get(path, value)
        if isinstance(value, str):
            parts.append(f"{label} {value}")
    where = ", ".join(parts)
    kind = index_type(finding.hit.index) if finding.hit else ""
    happened = f" with {where}," if where else ""
    event = f"{kind} event" if kind else "event"
    return f"{event}{happened} created {body['severity']} alert {body['name']}."


def execution_id() -> str:
    """A fresh id for a run."""
    return str(uuid.uuid4())
