"""What an event may override in its alert: severity, risk score, the rule's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.engine.document import FieldReader

_SEVERITIES = ("low", "medium", "high", "critical")
_HIGHEST_RISK = 100


def overrides(body: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The `kibana.alert.*` fields that the rule's mappings take from the event."""
    return {
        "kibana.alert.severity": _severity(body, event),
        "kibana.alert.risk_score": _risk_score(body, event),
        "kibana.alert.rule.name": _name(body, event),
    }


def _values(event: Mapping[str, Any], field: str) -> list[Any]:
    return FieldReader([field]).read(event).get(field, [])


def _severity(body: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """The highest of the severities whose field has their value; else the rule's own."""
    found = [
        entry["severity"]
        for entry in body.get("severity_mapping", ())
        if entry["value"] in {str(value) for value in _values(event, entry["field"])}
    ]
    return str(max(found, key=_SEVERITIES.index, default=body["severity"]))


def _risk_score(body: Mapping[str, Any], event: Mapping[str, Any]) -> float:
    """The largest number of the mapped field that is a risk score; else the rule's own."""
    fields = [entry["field"] for entry in body.get("risk_score_mapping", ())[:1]]
    scores = [
        value
        for field in fields
        for value in _values(event, field)
        if isinstance(value, int | float) and 0 <= value <= _HIGHEST_RISK
    ]
    return max(scores, default=body["risk_score"])


def _name(body: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """The text in the field that overrides the name; else the rule's own."""
    field = body.get("rule_name_override")
    texts = [value for value in _values(event, field) if isinstance(value, str)] if field else []
    return str(texts[0]) if texts and texts[0] else str(body["name"])
