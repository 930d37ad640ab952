"""`_bulk_action` edits: what each kind changes in a rule's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack.clock import duration


class EditError(Exception):
    """The edit cannot be applied to this rule; `code` is Kibana's name for why, or None."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def edited(body: dict[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    """The body after one edit. Raises `EditError`."""
    kind, value = edit["type"], edit.get("value")
    match kind.split("_", 1):
        case [verb, "tags"]:
            return {**body, "tags": _listed(verb, body["tags"], value)}
        case [verb, "index_patterns"]:
            return _index(body, verb, edit)
        case [verb, "investigation_fields"]:
            return _investigation_fields(body, verb, edit["value"]["field_names"])
        case [_, "timeline"]:
            return {**body, **edit["value"]}
        case [_, "schedule"]:
            return _schedule(body, edit["value"])
        case [verb, "rule_actions"]:
            kept = body["actions"] if verb == "add" else []
            return {**body, "actions": [*kept, *edit["value"]["actions"]]}
        case ["delete", "alert_suppression"]:
            return {k: v for k, v in body.items() if k != "alert_suppression"}
        case _:
            return _suppression(body, kind, value)


def _listed(verb: str, old: list[str], value: Any) -> list[str]:
    match verb:
        case "add":
            return list(dict.fromkeys([*old, *value]))
        case "delete":
            return [entry for entry in old if entry not in value]
        case _:
            return list(dict.fromkeys(value))


def _index(body: dict[str, Any], verb: str, edit: Mapping[str, Any]) -> dict[str, Any]:
    if body["type"] == "machine_learning":
        raise EditError(
            "Machine learning rule doesn't have index patterns.", "MACHINE_LEARNING_INDEX_PATTERN"
        )
    if body["type"] == "esql":
        raise EditError("ES|QL rule doesn't have index patterns.", "ESQL_INDEX_PATTERN")
    if "data_view_id" in body:
        if not edit.get("overwrite_data_views"):
            return body
        body = {k: v for k, v in body.items() if k != "data_view_id"}
    index = _listed(verb, body.get("index", []), edit["value"])
    if not index:
        raise EditError("Mutated params invalid: Index patterns can't be empty")
    return {**body, "index": index}


def _investigation_fields(body: dict[str, Any], verb: str, names: list[str]) -> dict[str, Any]:
    old = body.get("investigation_fields", {}).get("field_names", [])
    fields = _listed(verb, old, names)
    out = {k: v for k, v in body.items() if k != "investigation_fields"}
    return {**out, "investigation_fields": {"field_names": fields}} if fields else out


def _schedule(body: dict[str, Any], value: Mapping[str, str]) -> dict[str, Any]:
    try:
        reach = duration(value["interval"]) + duration(value["lookback"])
    except ValueError as error:
        raise EditError(f"Mutated params invalid: {error}") from error
    return {
        **body,
        "interval": value["interval"],
        "from": f"now-{int(reach.total_seconds())}s",
        "to": "now",
        "meta": {**body.get("meta", {}), "from": value["lookback"]},
    }


def _suppression(body: dict[str, Any], kind: str, value: Any) -> dict[str, Any]:
    threshold = body["type"] == "threshold"
    if kind == "set_alert_suppression" and threshold:
        raise EditError(
            "Threshold rule doesn't support this action. Use "
            '"set_alert_suppression_for_threshold" instead.',
            "THRESHOLD_RULE_TYPE_IN_SUPPRESSION",
        )
    if kind == "set_alert_suppression_for_threshold" and not threshold:
        raise EditError(
            f'{body["type"]} rule type doesn\'t support this action. Use "set_alert_suppression" '
            "instead.",
            "UNSUPPORTED_RULE_IN_SUPPRESSION_FOR_THRESHOLD",
        )
    return {**body, "alert_suppression": value}
